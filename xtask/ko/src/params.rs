//! The parameters a module takes, from `parm=name:text` and `parmtype=name:type`.

use std::collections::HashMap;

use serde::Serialize;

use super::{modinfo::Modinfo, text::Text};

/// More than any module has: 7.3's largest has under 200.
const PARAMS_MAX: usize = 4096;

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Param<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// Its type, such as `int` or `array of charp`.
    #[serde(rename = "type")]
    pub kind: Option<Text<'a>>,
    /// Its author's words about it.
    pub description: Option<Text<'a>>,
}

/// The parameters, each once, in the order in which their names first appear; at most
/// `PARAMS_MAX`. A later type or description of the same name replaces an earlier one, and a
/// value without a colon is passed over, as in kmod's `process_parm()` (`tools/modinfo.c`).
pub fn params<'a>(modinfo: Modinfo<'a>) -> Vec<Param<'a>> {
    let mut params: Vec<Param<'a>> = Vec::new();
    let mut places: HashMap<Text<'a>, usize> = HashMap::new();
    for line in modinfo.lines() {
        let is_type = line.key == "parmtype";
        if !is_type && line.key != "parm" {
            continue;
        }
        let Some((name, text)) = line.value.split_once(b':') else { continue };
        let place = places.get(&name).copied().unwrap_or(params.len());
        if place == PARAMS_MAX {
            continue;
        }
        if place == params.len() {
            places.insert(name, place);
            params.push(Param { name, kind: None, description: None });
        }
        let param = &mut params[place];
        if is_type {
            param.kind = Some(text);
        } else {
            param.description = Some(text);
        }
    }
    params
}
