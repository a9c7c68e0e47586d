//! The parameters a module takes, from `parm=name:text` and `parmtype=name:type`.

use serde::Serialize;

use super::{modinfo::Modinfo, text::Text};

/// More than any module has: 7.3's largest has under 200. Merging is by name, so the number of
/// them has to have an end.
const PARAMS_MAX: usize = 4096;

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Param<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// Its type, such as `int` or `array of charp`.
    #[serde(rename = "type")]
    pub kind: Option<Text<'a>>,
    /// What its author says of it.
    pub description: Option<Text<'a>>,
}

/// The parameters, each once, in the order in which their names first appear; at most
/// `PARAMS_MAX`. A later type or description of the same name replaces an earlier one, and a
/// value without a colon is passed over, as in kmod's `process_parm()` (`tools/modinfo.c`).
pub fn params<'a>(modinfo: Modinfo<'a>) -> Vec<Param<'a>> {
    let mut params: Vec<Param<'a>> = Vec::new();
    for line in modinfo.lines() {
        let is_type = line.key == "parmtype";
        if !is_type && line.key != "parm" {
            continue;
        }
        let Some((name, text)) = line.value.split_once(b':') else { continue };
        let Some(param) = find_or_add(&mut params, name) else { continue };
        if is_type {
            param.kind = Some(text);
        } else {
            param.description = Some(text);
        }
    }
    params
}

fn find_or_add<'p, 'a>(
    params: &'p mut Vec<Param<'a>>,
    name: Text<'a>,
) -> Option<&'p mut Param<'a>> {
    let at = params.iter().position(|param| param.name == name).unwrap_or(params.len());
    if at == params.len() {
        if at == PARAMS_MAX {
            return None;
        }
        params.push(Param { name, kind: None, description: None });
    }
    params.get_mut(at)
}
