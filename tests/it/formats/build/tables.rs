//! Arrow's streams and files, Parquet's footers.

use super::flatbuffer::{Builder, Field};

/// Pairs of metadata.
pub type Pairs<'a> = &'a [(&'a str, &'a [u8])];

fn number(value: u64, width: usize) -> Field {
    Field::Number(value.to_le_bytes().iter().take(width).copied().collect())
}

fn pairs(pairs: Pairs<'_>) -> Field {
    let pair = |(key, value): &(&str, &[u8])| vec![Field::Text((*key).to_owned()), Field::Bytes(value.to_vec())];
    Field::Tables(pairs.iter().map(pair).collect())
}

/// A schema with one column.
fn schema(column: Pairs<'_>, table: Pairs<'_>) -> Vec<Field> {
    let field = vec![
        Field::Text("x".to_owned()),
        number(1, 1),
        number(2, 1),
        Field::Table(vec![number(64, 4), number(1, 1)]),
        Field::None,
        Field::Tables(vec![]),
        pairs(column),
    ];
    vec![number(0, 2), Field::Tables(vec![field]), pairs(table)]
}

fn message(kind: u64, header: Vec<Field>, body: &[u8]) -> Vec<u8> {
    let fields = [number(4, 2), number(kind, 1), Field::Table(header), number(body.len() as u64, 8)];
    let mut buffer = Builder::build([0; 4], &[], &fields);
    buffer.resize(buffer.len().next_multiple_of(8), 0);
    let length = u32::try_from(buffer.len()).expect("short").to_le_bytes();
    [[0xff; 4].as_slice(), &length, &buffer, body].concat()
}

/// The message of a schema alone.
pub fn schema_message(column: Pairs<'_>, table: Pairs<'_>) -> Vec<u8> {
    message(1, schema(column, table), &[])
}

/// A batch whose only buffer lies where it is said to.
fn batch(offset: u64, length: u64, body: &[u8]) -> Vec<u8> {
    let buffers = [offset.to_le_bytes(), length.to_le_bytes()].concat();
    message(3, vec![number(1, 8), Field::Structures(0, vec![]), Field::Structures(1, buffers)], body)
}

/// A stream of a schema and a batch.
pub fn stream(column: Pairs<'_>, buffer: (u64, u64), body: &[u8]) -> Vec<u8> {
    [schema_message(column, &[]), batch(buffer.0, buffer.1, body), vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]].concat()
}

/// A file with a footer; `lie` moves the place of the batch.
pub fn file(column: Pairs<'_>, table: Pairs<'_>, lie: u64) -> Vec<u8> {
    let mut bytes = [b"ARROW1\0\0".as_slice(), &schema_message(column, table)].concat();
    let start = bytes.len() as u64 + lie;
    let body = [7; 64];
    let batch = batch(0, 64, &body);
    let head = (batch.len() - body.len()) as u64;
    let block = [start.to_le_bytes(), head.to_le_bytes(), 64_u64.to_le_bytes()].concat();
    bytes.extend(batch);
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let footer = Builder::build(
        [0; 4],
        &[],
        &[number(4, 2), Field::Table(schema(column, table)), Field::None, Field::Structures(1, block)],
    );
    bytes.extend_from_slice(&footer);
    bytes.extend(u32::try_from(footer.len()).expect("short").to_le_bytes());
    bytes.extend(b"ARROW1");
    bytes
}

/// Fields of a structure of Thrift, of the compact protocol.
pub mod thrift {
    pub fn varint(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 127 {
            bytes.push(u8::try_from(number & 127).expect("seven bits") | 128);
            number >>= 7;
        }
        bytes.push(u8::try_from(number).expect("seven bits"));
        bytes
    }

    fn head(field: u8, kind: u8) -> Vec<u8> {
        vec![kind, field * 2]
    }

    pub fn text(field: u8, text: &[u8]) -> Vec<u8> {
        [head(field, 8), varint(text.len() as u64), text.to_vec()].concat()
    }

    pub fn number(field: u8, number: u64) -> Vec<u8> {
        [head(field, 6), varint(number * 2)].concat()
    }

    pub fn inner(field: u8, fields: &[Vec<u8>]) -> Vec<u8> {
        [head(field, 12), fields.concat(), vec![0]].concat()
    }

    pub fn list(field: u8, items: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let items: Vec<u8> = items.iter().flat_map(|item| [item.concat(), vec![0]].concat()).collect();
        [head(field, 9), vec![0x1c], items].concat()
    }
}

/// Parquet with one column of some bytes at a place, perhaps in another file, and pairs.
pub fn parquet(place: u64, elsewhere: Option<&str>, pairs: Pairs<'_>) -> Vec<u8> {
    use thrift::{inner, list, number, text};
    let element = vec![text(4, b"x")];
    let column = inner(3, &[number(7, 16), number(9, place)]);
    let chunk = elsewhere.map_or_else(Vec::new, |path| vec![text(1, path.as_bytes())]);
    let chunk = [chunk, vec![number(2, place), column]].concat();
    let group = vec![list(1, &[chunk]), number(2, 16), number(3, 1)];
    let mut footer = vec![number(1, 2), list(2, &[element]), number(3, 1), list(4, &[group])];
    for (key, value) in pairs {
        footer.push(list(5, &[vec![text(1, key.as_bytes()), text(2, value)]]));
    }
    let footer = [footer.concat(), vec![0]].concat();
    let length = u32::try_from(footer.len()).expect("short").to_le_bytes();
    [b"PAR1".as_slice(), &[7; 16], &footer, &length, b"PAR1"].concat()
}

/// Parquet with one column of texts, and a page of it, packed by a codec.
pub fn parquet_page(codec: u64, packed: &[u8], unpacked: u64) -> Vec<u8> {
    use thrift::{inner, list, number, text};
    // The types of these three are numbers of 32 bits.
    let narrow = |field: u8, value: u64| [vec![5, field * 2], thrift::varint(value * 2)].concat();
    let data = inner(5, &[narrow(1, 1), narrow(2, 0), narrow(3, 3), narrow(4, 3)]);
    let page = [narrow(1, 0), narrow(2, unpacked), narrow(3, packed.len() as u64), data, vec![0]].concat();
    let body = [page.as_slice(), packed].concat();
    let column = inner(3, &[narrow(1, 6), narrow(4, codec), number(7, body.len() as u64), number(9, 4)]);
    let group = vec![list(1, &[vec![number(2, 4), column]]), number(2, 16), number(3, 1)];
    let footer = [number(1, 2), list(2, &[vec![text(4, b"x")]]), number(3, 1), list(4, &[group]), vec![0]].concat();
    let length = u32::try_from(footer.len()).expect("short").to_le_bytes();
    [b"PAR1".as_slice(), &body, &footer, &length, b"PAR1"].concat()
}
