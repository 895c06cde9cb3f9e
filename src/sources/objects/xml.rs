//! Listings of S3 as XML: what `ListObjectsV2` answers.

use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// One object of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Not given by every server, and no digest of the bytes.
    pub etag: Option<String>,
}

/// One page.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub objects: Vec<Object>,
    /// Where to go on.
    pub next: Option<String>,
    /// Keys are percent-encoded, as was asked for: XML cannot hold every character.
    pub encoded: bool,
}

/// Reads a page; nothing in it is expanded but the five entities of XML and character references.
pub fn page(text: &[u8]) -> Result<Page, String> {
    let text = std::str::from_utf8(text).map_err(|_| "the listing is no text".to_owned())?;
    let mut reader = Reader::from_str(text);
    let mut page = Page::default();
    let (mut path, mut value) = (Vec::new(), String::new());
    let mut object = Object::default();
    let mut root = false;
    loop {
        match reader.read_event().map_err(|error| format!("the listing is no XML: {error}"))? {
            Event::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                if path.is_empty() {
                    root = name == "ListBucketResult";
                }
                path.push(name);
                value.clear();
                if path.len() > 8 {
                    return Err("the listing is nested too deeply".to_owned());
                }
            }
            Event::Text(text) => value.push_str(&text),
            Event::CData(text) => value.push_str(&text),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => value.push(character),
                _ => {
                    value.push_str(quick_xml::escape::resolve_predefined_entity(&reference).unwrap_or_default());
                }
            },
            Event::End(_) => {
                let names: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
                match *names {
                    ["Contents", "Key"] => object.key.clone_from(&value),
                    ["Contents", "Size"] => {
                        object.size = value.trim().parse().map_err(|_| "an object without a size")?;
                    }
                    ["Contents", "ETag"] => object.etag = Some(value.trim().to_owned()).filter(|etag| !etag.is_empty()),
                    ["Contents"] => page.objects.push(std::mem::take(&mut object)),
                    ["NextContinuationToken"] => page.next = Some(value.clone()).filter(|token| !token.is_empty()),
                    ["EncodingType"] => page.encoded = value.trim() == "url",
                    _ => {}
                }
                path.pop();
                value.clear();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if root && path.is_empty() { Ok(page) } else { Err("the answer is no listing of a bucket".to_owned()) }
}
