//! Models of `TensorFlow` Lite, programs of `ExecuTorch`, and whatever else is a flat buffer.

/// Tables put one after another; what they point to stands behind them.
pub struct Builder {
    bytes: Vec<u8>,
}

/// A field of a table: a number of some bytes, or what an offset will point to.
pub enum Field {
    None,
    Number(Vec<u8>),
    Text(String),
    Bytes(Vec<u8>),
    Tables(Vec<Vec<Field>>),
    Table(Vec<Field>),
    /// Structures one after another: how many, and their bytes.
    Structures(usize, Vec<u8>),
}

impl Builder {
    /// A buffer with a root table.
    pub fn build(identifier: [u8; 4], header: &[u8], root: &[Field]) -> Vec<u8> {
        let mut builder = Self { bytes: [&[0; 4], identifier.as_slice(), header].concat() };
        let at = builder.table(root);
        builder.point(0, at);
        builder.bytes
    }

    fn align(&mut self) -> usize {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.bytes.len()
    }

    fn point(&mut self, at: usize, target: usize) {
        let distance = u32::try_from(target - at).expect("small buffers only").to_le_bytes();
        self.bytes.splice(at..at + 4, distance);
    }

    fn table(&mut self, fields: &[Field]) -> usize {
        let list = self.align();
        let short = |value: usize| u16::try_from(value).expect("small tables only").to_le_bytes();
        let mut offsets = Vec::new();
        let mut body = vec![0_u8; 4];
        let mut later = Vec::new();
        for field in fields {
            body.resize(body.len().next_multiple_of(8), 0);
            offsets.extend(short(if matches!(field, Field::None) { 0 } else { body.len() }));
            match field {
                Field::None => {}
                Field::Number(bytes) => body.extend_from_slice(bytes),
                _ => {
                    later.push((body.len(), field));
                    body.extend([0; 4]);
                }
            }
        }
        self.bytes.extend(short(4 + offsets.len()));
        self.bytes.extend(short(body.len()));
        self.bytes.extend(offsets);
        let table = self.align();
        let back = i32::try_from(table - list).expect("small tables only").to_le_bytes();
        body.splice(..4, back);
        self.bytes.extend(body);
        for (offset, field) in later {
            let target = self.value(field);
            self.point(table + offset, target);
        }
        table
    }

    fn value(&mut self, field: &Field) -> usize {
        match field {
            Field::Text(text) => self.vector(text.len(), text.as_bytes()),
            Field::Bytes(bytes) => self.vector(bytes.len(), bytes),
            Field::Structures(count, bytes) => self.vector(*count, bytes),
            Field::Table(fields) => self.table(fields),
            Field::Tables(tables) => {
                let at = self.vector(tables.len(), &vec![0; tables.len() * 4]);
                for (index, fields) in tables.iter().enumerate() {
                    let target = self.table(fields);
                    self.point(at + 4 + index * 4, target);
                }
                at
            }
            Field::None | Field::Number(_) => unreachable!("it stands in the table itself"),
        }
    }

    fn vector(&mut self, count: usize, bytes: &[u8]) -> usize {
        let at = self.align();
        self.bytes.extend(u32::try_from(count).expect("short vectors only").to_le_bytes());
        self.bytes.extend_from_slice(bytes);
        self.bytes.push(0);
        at
    }
}

/// A model with custom operators, and one buffer.
pub fn tflite(operators: &[&str], data: &[u8]) -> Vec<u8> {
    let plain = vec![Field::Number(vec![9])];
    let custom = operators.iter().map(|name| vec![Field::Number(vec![32]), Field::Text((*name).to_owned())]);
    let buffers = vec![vec![], vec![Field::Bytes(data.to_vec())]];
    let metadata = vec![vec![Field::Text("notes".to_owned()), Field::Number(vec![1, 0, 0, 0])]];
    let root = [
        Field::Number(vec![3, 0, 0, 0]),
        Field::Tables(std::iter::once(plain).chain(custom).collect()),
        Field::Tables(vec![vec![]]),
        Field::Text("lanner".to_owned()),
        Field::Tables(buffers),
        Field::None,
        Field::Tables(metadata),
    ];
    Builder::build(*b"TFL3", &[], &root)
}

/// A program with a delegate, an operator, and a segment behind it.
pub fn executorch(delegate: &str, operator: &str, segment: &[u8]) -> Vec<u8> {
    let plan = vec![
        Field::Text("forward".to_owned()),
        Field::None,
        Field::None,
        Field::None,
        Field::None,
        Field::None,
        Field::Tables(vec![vec![Field::Text(operator.to_owned())]]),
        Field::Tables(vec![vec![Field::Text(delegate.to_owned())]]),
    ];
    let length = (segment.len() as u64).to_le_bytes().to_vec();
    let segments = Field::Tables(vec![vec![Field::None, Field::Number(length)]]);
    let root = [Field::None, Field::Tables(vec![plan]), Field::None, Field::None, segments];
    let mut bytes = Builder::build(*b"ET12", &[b"eh00".as_slice(), &[24, 0, 0, 0], &[0; 16]].concat(), &root);
    bytes.resize(bytes.len().next_multiple_of(16), 0);
    let base = (bytes.len() as u64).to_le_bytes();
    bytes.splice(16..32, [base, base].concat());
    bytes.extend_from_slice(segment);
    bytes
}

/// A model for mobile devices: a function with operators, a text, a type, a file and a storage.
pub fn mobile(operators: &[&str], text: &str, storage: &[u8]) -> Vec<u8> {
    let operators = operators.iter().map(|name| vec![Field::Text((*name).to_owned()), Field::Text(String::new())]);
    let function = vec![Field::Text("__torch__.M.forward".to_owned()), Field::None, Field::Tables(operators.collect())];
    let values = vec![
        vec![Field::Number(vec![16]), Field::Table(function)],
        vec![Field::Number(vec![6]), Field::Table(vec![Field::Text(text.to_owned())])],
    ];
    let file = |name: &str, text: &str| vec![Field::Text(name.to_owned()), Field::Text(text.to_owned())];
    let root = [
        Field::Number(vec![9, 0, 0, 0]),
        Field::Tables(vec![file("metadata.json", "{}")]),
        Field::None,
        Field::None,
        Field::Tables(values),
        Field::None,
        Field::Tables(vec![vec![Field::Bytes(storage.to_vec())]]),
        Field::Tables(vec![vec![Field::Text("__torch__.M".to_owned()), Field::Number(vec![1])]]),
        Field::Tables(vec![file("__torch__", "def forward(self, x: Tensor) -> Tensor:\n  return torch.relu(x)\n")]),
    ];
    Builder::build(*b"PTMF", &[], &root)
}

/// A model of MNN with one operator, and what it is called by whoever brings it.
pub fn mnn(kind: u16, name: &str) -> Vec<u8> {
    let main = vec![Field::Text(name.to_owned())];
    let kind = u32::from(kind).to_le_bytes().to_vec();
    let operator = vec![
        Field::None,
        Field::Number(vec![30]),
        Field::Table(main),
        Field::Text("layer".to_owned()),
        Field::None,
        Field::Number(kind),
    ];
    Builder::build([0; 4], &[], &[Field::None, Field::None, Field::None, Field::Tables(vec![operator])])
}
