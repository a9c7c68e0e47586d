//! The changes between two type texts of one name, in sentences.

use std::{collections::HashMap, hash::Hash};

use crate::symtype_parser::{Fields, Function, Named, Shape, spoken};

/// The differences between two texts of one name, a sentence each. Where no sentence fits, both
/// texts are shown.
pub(crate) fn changes(name: &str, old: &str, new: &str) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let sentences = match (Shape::parse(old), Shape::parse(new)) {
        (Shape::Function(old), Shape::Function(new)) => function_changes(name, &old, &new),
        (Shape::Fields(old), Shape::Fields(new)) => field_changes(&spoken(name), &old, &new),
        (Shape::Values(old), Shape::Values(new)) => value_changes(&spoken(name), &old, &new),
        (Shape::Other(old), Shape::Other(new)) if old != new => {
            vec![format!("{} went from {old} to {new}", spoken(name))]
        }
        _ => Vec::new(),
    };
    if sentences.is_empty() {
        return vec![format!("{} went from \"{old}\" to \"{new}\"", spoken(name))];
    }
    sentences
}

fn function_changes(name: &str, old: &Function, new: &Function) -> Vec<String> {
    let mut sentences = Vec::new();
    for (index, (was, is)) in old.parameters.iter().zip(&new.parameters).enumerate() {
        let which = format!("the {} parameter of {name}", ordinal(index));
        let called = is.name.as_ref().map(|name| format!(", {name},")).unwrap_or_default();
        if was.kind != is.kind {
            sentences.push(format!("{which}{called} went from {} to {}", was.kind, is.kind));
        } else if let (true, Some(old), Some(new)) = (was.name != is.name, &was.name, &is.name) {
            sentences.push(format!("{which} is called {new} and was called {old}"));
        }
    }
    let (was, is) = (old.parameters.len(), new.parameters.len());
    for (index, parameter) in new.parameters.iter().enumerate().skip(was) {
        sentences.push(format!("{name} has a new {} parameter, {parameter}", ordinal(index)));
    }
    for (index, parameter) in old.parameters.iter().enumerate().skip(is) {
        sentences.push(format!("the {} parameter of {name}, {parameter}, is gone", ordinal(index)));
    }
    if old.returns != new.returns {
        sentences.push(format!("{name} returns {} and returned {}", new.returns, old.returns));
    }
    sentences
}

fn field_changes(name: &str, old: &Fields, new: &Fields) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some((was, is)) = changed(old.bytes, new.bytes) {
        sentences.push(format!("{name}: its size went from {was} to {is} bytes"));
    }
    let (olds, news) = (
        by_name(&old.members, |member| &member.name),
        by_name(&new.members, |member| &member.name),
    );
    let word = |member: &Named| member.name.clone().unwrap_or_else(|| "without a name".into());
    for was in &old.members {
        let which = word(was);
        let Some(is) = news.get(&was.name) else {
            sentences.push(format!("{name}: its member {which}, a {}, is gone", was.kind));
            continue;
        };
        if was.kind != is.kind {
            let (was, is) = (&was.kind, &is.kind);
            sentences.push(format!("{name}: its member {which} went from {was} to {is}"));
        }
        if let Some((was, is)) = changed(was.at, is.at) {
            let moved = format!("moved from byte {was} to byte {is}");
            sentences.push(format!("{name}: its member {which} {moved}"));
        }
    }
    let added = new.members.iter().filter(|member| !olds.contains_key(&member.name));
    for member in added {
        let which = word(member);
        sentences.push(format!("{name}: it has a new member {which}, a {}", member.kind));
    }
    sentences
}

/// Two numbers that are known and differ.
fn changed(was: Option<u64>, is: Option<u64>) -> Option<(u64, u64)> {
    was.zip(is).filter(|(was, is)| was != is)
}

/// Members or values by what they are called; the first of those without a name.
fn by_name<T, N: Eq + Hash>(all: &[T], name: fn(&T) -> &N) -> HashMap<&N, &T> {
    all.iter().rev().map(|one| (name(one), one)).collect()
}

fn value_changes(name: &str, old: &[(String, String)], new: &[(String, String)]) -> Vec<String> {
    let (olds, news) = (by_name(old, |value| &value.0), by_name(new, |value| &value.0));
    let mut sentences = Vec::new();
    for (value, was) in old {
        match news.get(value) {
            None => sentences.push(format!("{name}: its value {value} = {was} is gone")),
            Some((_, is)) if is != was => {
                sentences.push(format!("{name}: {value} went from {was} to {is}"));
            }
            Some(_) => {}
        }
    }
    for (value, is) in new.iter().filter(|(value, _)| !olds.contains_key(value)) {
        sentences.push(format!("{name}: it has a new value {value} = {is}"));
    }
    sentences
}

fn ordinal(index: usize) -> String {
    const WORDS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
    WORDS.get(index).map_or_else(|| format!("{}th", index + 1), |&word| word.into())
}
