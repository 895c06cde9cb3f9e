//! A dotted name in facts that may be nested.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::value::Value;

/// Dots of a name at which it is tried as a path into nested objects; what follows is one key.
pub const DOTS_MAX: usize = 12;
/// Objects and lists in each other, as deep as JSON is read.
pub const DEPTH_MAX: usize = 128;

/// Calls `found` with each value that the name leads to: as one key, and as every path that it
/// spells. All objects of a list are followed. None of them hides another: whoever writes an event
/// could else put something harmless where it is looked for first.
pub fn at<'e>(
    map: &'e BTreeMap<String, Value>,
    name: &str,
    found: &mut impl FnMut(&'e Value) -> ControlFlow<()>,
) -> ControlFlow<()> {
    walk(map, name, DOTS_MAX, found)
}

/// The same, without an end before the last.
pub fn each<'e>(map: &'e BTreeMap<String, Value>, name: &str, found: &mut impl FnMut(&'e Value)) {
    let end = at(map, name, &mut |value| {
        found(value);
        ControlFlow::Continue(())
    });
    debug_assert!(end.is_continue(), "nothing ends it");
}

/// Calls `found` with each scalar and null that the value is or holds, in lists and, if asked for,
/// in objects.
pub fn scalars<'e>(
    value: &'e Value,
    objects: bool,
    found: &mut impl FnMut(&'e Value) -> ControlFlow<()>,
) -> ControlFlow<()> {
    gather(value, objects, DEPTH_MAX, found)
}

/// The same, without an end before the last.
pub fn each_scalar<'e>(value: &'e Value, objects: bool, found: &mut impl FnMut(&'e Value)) {
    let end = scalars(value, objects, &mut |value| {
        found(value);
        ControlFlow::Continue(())
    });
    debug_assert!(end.is_continue(), "nothing ends it");
}

fn walk<'e>(
    map: &'e BTreeMap<String, Value>,
    name: &str,
    dots: usize,
    found: &mut impl FnMut(&'e Value) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if let Some(value) = map.get(name) {
        found(value)?;
    }
    for (passed, (dot, _)) in name.match_indices('.').take(dots).enumerate() {
        let (Some(head), Some(rest)) = (name.get(..dot), name.get(dot + 1..)) else {
            continue;
        };
        let inner = match map.get(head) {
            Some(Value::List(items)) => items.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => continue,
        };
        for value in inner {
            if let Value::Map(inner) = value {
                walk(inner, rest, dots - passed - 1, found)?;
            }
        }
    }
    ControlFlow::Continue(())
}

fn gather<'e>(
    value: &'e Value,
    objects: bool,
    depth: usize,
    found: &mut impl FnMut(&'e Value) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match value {
        Value::List(items) if depth > 0 => items.iter().try_for_each(|item| gather(item, objects, depth - 1, found)),
        Value::Map(members) if depth > 0 && objects => {
            members.values().try_for_each(|member| gather(member, objects, depth - 1, found))
        }
        Value::List(_) | Value::Map(_) => ControlFlow::Continue(()),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => found(value),
    }
}
