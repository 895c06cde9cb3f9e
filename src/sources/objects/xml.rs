//! Listings as XML: of S3, with and without versions, and of Azure.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::bucket::{Cursor, Object, Page};

/// Elements in elements.
const DEPTH_MAX: usize = 8;

/// One element that has ended.
struct Element<'a> {
    /// Names from below the root to the element itself.
    path: &'a [&'a str],
    text: &'a str,
    /// Azure says so of a name that XML cannot hold.
    encoded: bool,
}

/// Walks through a listing with one of these roots. Nothing in it is expanded but the five entities of XML and
/// character references.
fn walk(text: &[u8], roots: &[&str], mut ended: impl FnMut(&Element) -> Result<(), String>) -> Result<(), String> {
    let text = std::str::from_utf8(text).map_err(|_| "the listing is no text".to_owned())?;
    let mut reader = Reader::from_str(text);
    let (mut path, mut value): (Vec<String>, String) = (Vec::new(), String::new());
    let (mut root, mut encoded) = (false, false);
    loop {
        match reader.read_event().map_err(|error| format!("the listing is no XML: {error}"))? {
            Event::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                if path.is_empty() {
                    root = roots.contains(&name.as_str());
                }
                encoded = start.try_get_attribute("Encoded").is_ok_and(|found| found.is_some());
                path.push(name);
                value.clear();
                if path.len() > DEPTH_MAX {
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
                ended(&Element { path: &names, text: &value, encoded })?;
                path.pop();
                value.clear();
                encoded = false;
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if root && path.is_empty() { Ok(()) } else { Err("the answer is no listing of a bucket".to_owned()) }
}

fn size(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| "an object without a size".to_owned())
}

fn some(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A page of `ListObjectsV2` or `ListObjectVersions`.
pub fn s3(text: &[u8]) -> Result<Page, String> {
    let mut page = Page::default();
    let mut object = Object::default();
    let (mut truncated, mut encoded, mut latest) = (None, false, None);
    let (mut token, mut key_marker, mut version_marker) = (None, None, None);
    walk(text, &["ListBucketResult", "ListVersionsResult"], |element| {
        let text = element.text;
        match *element.path {
            [_, "Key"] => text.clone_into(&mut object.key),
            [_, "Size"] => object.size = size(text)?,
            [_, "ETag"] => object.etag = some(text),
            [_, "LastModified"] => object.modified = text.trim().parse().ok(),
            [_, "VersionId"] => object.version = some(text),
            [_, "IsLatest"] => latest = Some(text.trim() == "true"),
            [kind @ ("Contents" | "Version" | "DeleteMarker")] => {
                let found = std::mem::take(&mut object);
                let older = latest.take() == Some(false);
                page.objects.push(Object { older, marker: kind == "DeleteMarker", ..found });
            }
            ["NextContinuationToken"] => token = some(text),
            ["NextKeyMarker"] => key_marker = some(text),
            ["NextVersionIdMarker"] => version_marker = some(text),
            ["IsTruncated"] => truncated = Some(text.trim() == "true"),
            ["EncodingType"] => encoded = text.trim() == "url",
            _ => {}
        }
        Ok(())
    })?;
    // As was asked for: XML cannot hold every character.
    if encoded {
        for object in &mut page.objects {
            (object.key, object.garbled) = decoded(&object.key.replace('+', " "));
        }
        key_marker = key_marker.map(|marker| decoded(&marker.replace('+', " ")).0);
    }
    let mut next: Cursor = Vec::new();
    next.extend(token.map(|token| ("continuation-token", token)));
    next.extend(key_marker.map(|marker| ("key-marker", marker)));
    next.extend(version_marker.map(|marker| ("version-id-marker", marker)));
    page.next = match truncated {
        Some(false) => None,
        Some(true) if next.is_empty() => return Err("the listing goes on, and does not say where".to_owned()),
        _ => Some(next).filter(|next| !next.is_empty()),
    };
    Ok(page)
}

/// A page of Azure's `List Blobs`.
pub fn azure(text: &[u8]) -> Result<Page, String> {
    let mut page = Page::default();
    let mut object = Object::default();
    let (mut folder, mut sized) = (false, false);
    walk(text, &["EnumerationResults"], |element| {
        let text = element.text;
        match *element.path {
            ["Blobs", "Blob", "Name"] => {
                (object.key, object.garbled) = if element.encoded { decoded(text) } else { (text.to_owned(), false) };
            }
            ["Blobs", "Blob", "Properties", "Content-Length"] => (object.size, sized) = (size(text)?, true),
            ["Blobs", "Blob", "Properties", "Etag"] => object.etag = some(text),
            ["Blobs", "Blob", "Properties", "Last-Modified"] => object.modified = http_date(text),
            ["Blobs", "Blob", "Properties", "ResourceType"] => folder = text.trim() == "directory",
            ["Blobs", "Blob"] => {
                let found = std::mem::take(&mut object);
                if !std::mem::take(&mut folder) {
                    page.objects.push(found);
                    if !std::mem::take(&mut sized) {
                        return Err("a blob without a size".to_owned());
                    }
                }
            }
            ["NextMarker"] => page.next = some(text).map(|marker| vec![("marker", marker)]),
            _ => {}
        }
        Ok(())
    })?;
    Ok(page)
}

/// A text without its percent-encoding, and whether it is none then.
fn decoded(text: &str) -> (String, bool) {
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) => (decoded.into_owned(), false),
        Err(_) => (percent_decode_str(text).decode_utf8_lossy().into_owned(), true),
    }
}

/// The time of a header or of Azure: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}
