//! One type text of gendwarfksyms, read and written as C.
//!
//! The words are those of DWARF (`scripts/gendwarfksyms/dwarf.c`): `pointer_type { const_type {
//! base_type char byte_size(1) encoding(6) } } byte_size(8)` is `const char *`.

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// The name of a type that has a text of its own, with its prefix: `s#counter`.
    Reference(&'a str),
    /// Anything else.
    Text(&'a str),
}

/// Where the name at the beginning of a line ends: at the first blank, or, for a type whose name
/// has blanks, after its closing quote.
pub(crate) fn name_end(line: &str) -> Option<usize> {
    let quoted = is_reference(line) && line[2..].starts_with('\'');
    if quoted {
        return line[3..].find('\'').map(|at| 3 + at + 1);
    }
    line.find(' ').filter(|&end| end > 0)
}

/// The text cut at its references, in order (`type_parse()`, `scripts/gendwarfksyms/types.c`).
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = match next_reference(rest) {
            Some(0) => {
                let end = name_end(rest).unwrap_or(rest.len());
                (Piece::Reference(&rest[..end]), &rest[end..])
            }
            Some(at) => (Piece::Text(&rest[..at]), &rest[at..]),
            None => (Piece::Text(rest), ""),
        };
        rest = after;
        Some(piece)
    })
}

/// A reference begins a word.
fn next_reference(text: &str) -> Option<usize> {
    let begins = |at: &usize| *at == 0 || text.as_bytes()[at - 1] == b' ';
    (0..text.len()).filter(begins).find(|&at| text.get(at..).is_some_and(is_reference))
}

fn is_reference(text: &str) -> bool {
    matches!(text.as_bytes(), [b's' | b'u' | b'e' | b't', b'#', ..])
}

/// A text as a C programmer would write it.
pub fn as_c(text: &str) -> String {
    match Shape::parse(text) {
        Shape::Function(function) => function.to_string(),
        Shape::Fields(Fields { members, bytes }) => {
            let members: Vec<String> = members.iter().map(|member| format!("{member}; ")).collect();
            let bytes = bytes.map_or(String::new(), |bytes| format!(" /* {bytes} bytes */"));
            format!("{{ {}}}{bytes}", members.concat())
        }
        Shape::Values(values) => {
            let values: Vec<String> = values.iter().map(|(n, v)| format!("{n} = {v}")).collect();
            format!("{{ {} }}", values.join(", "))
        }
        Shape::Other(text) => text,
    }
}

/// A reference as a C programmer would write it.
pub(crate) fn spoken(name: &str) -> String {
    let (Some((prefix, rest)), true) = (name.split_once('#'), is_reference(name)) else {
        return name.to_owned();
    };
    let rest = rest.trim_matches('\'');
    match prefix {
        "s" => format!("struct {rest}"),
        "u" => format!("union {rest}"),
        "e" => format!("enum {rest}"),
        _ => rest.to_owned(),
    }
}

/// A parameter or member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) kind: String,
    pub(crate) name: Option<String>,
    /// The byte at which a member lies.
    pub(crate) at: Option<u64>,
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, name, .. } = self;
        match name {
            Some(name) if kind.ends_with('*') => write!(f, "{kind}{name}"),
            Some(name) => write!(f, "{kind} {name}"),
            None => write!(f, "{kind}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) parameters: Vec<Named>,
    pub(crate) returns: String,
}

impl std::fmt::Display for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parameters: Vec<String> = self.parameters.iter().map(Named::to_string).collect();
        write!(f, "{} ({})", self.returns, parameters.join(", "))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) members: Vec<Named>,
    pub(crate) bytes: Option<u64>,
}

/// The kind of thing that a text describes.
pub(crate) enum Shape {
    Function(Function),
    Fields(Fields),
    Values(Vec<(String, String)>),
    Other(String),
}

impl Shape {
    pub(crate) fn parse(text: &str) -> Self {
        let mut words = Words::new(text);
        match words.next() {
            Some("subprogram") => Self::Function(words.function(0)),
            Some("structure_type" | "union_type" | "class_type") => Self::Fields(words.fields()),
            Some("enumeration_type") => Self::Values(words.values()),
            Some("variable") => Self::Other(words.kind(0)),
            Some("typedef_type") => {
                words.find(|&word| word == "{");
                Self::Other(words.kind(0))
            }
            _ => Self::Other(text.to_owned()),
        }
    }
}

/// No type is written deeper than this; a damaged text can be.
const DEPTH_MAX: usize = 64;

/// The words of a text, with a quoted name as one.
struct Words<'a> {
    words: std::iter::Peekable<std::vec::IntoIter<&'a str>>,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.words.next()
    }
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        let mut words = Vec::new();
        for piece in pieces(text) {
            match piece {
                Piece::Reference(name) => words.push(name),
                Piece::Text(text) => words.extend(text.split_whitespace()),
            }
        }
        Self { words: words.into_iter().peekable() }
    }

    /// The next word, if it is such a one.
    fn next_if(&mut self, is_wanted: impl Fn(&str) -> bool) -> Option<&'a str> {
        self.words.next_if(|word| is_wanted(word))
    }

    fn skip(&mut self, word: &str) -> bool {
        self.next_if(|next| next == word).is_some()
    }

    /// `( parameter , … ) -> type`
    fn function(&mut self, depth: usize) -> Function {
        let mut parameters = Vec::new();
        self.skip("(");
        loop {
            match self.next() {
                None | Some(")") => break,
                Some("formal_parameter") => parameters.push(self.named(depth)),
                Some("unspecified_parameters") => {
                    parameters.push(Named { kind: "...".into(), name: None, at: None });
                }
                Some(_) => {}
            }
        }
        self.skip("->");
        Function { parameters, returns: self.kind(depth) }
    }

    /// A type, then perhaps a name, then attributes.
    fn named(&mut self, depth: usize) -> Named {
        let kind = self.kind(depth);
        let name = self.next_if(is_name).map(str::to_owned);
        let mut at = None;
        while let Some(word) = self.next_if(is_attribute) {
            at = at.or(attribute(word, "data_member_location"));
        }
        Named { kind, name, at }
    }

    /// One type, with its attributes.
    fn kind(&mut self, depth: usize) -> String {
        let Some(word) = self.next().filter(|_| depth < DEPTH_MAX) else { return "?".into() };
        let kind = match word {
            "base_type" => self.base(),
            "pointer_type" => pointer_to(&self.inner(depth)),
            "reference_type" => format!("{} &", self.inner(depth)),
            "const_type" => format!("const {}", self.inner(depth)),
            "volatile_type" => format!("volatile {}", self.inner(depth)),
            "restrict_type" => format!("{} restrict", self.inner(depth)),
            "subroutine_type" => self.function(depth + 1).to_string(),
            "structure_type" | "class_type" => self.unnamed("struct"),
            "union_type" => self.unnamed("union"),
            "enumeration_type" => self.unnamed("enum"),
            "typedef_type" => self.unnamed("typedef"),
            array if array.starts_with("array_type") => {
                format!("{}{}", self.inner(depth), &array["array_type".len()..])
            }
            reference => spoken(reference),
        };
        while self.next_if(|word| is_attribute(word) && !is_place(word)).is_some() {}
        kind
    }

    /// `{ type }`
    fn inner(&mut self, depth: usize) -> String {
        if !self.skip("{") {
            return "void".into();
        }
        let kind = self.kind(depth + 1);
        self.skip("}");
        kind
    }

    /// The words of a base type's name, up to its attributes.
    fn base(&mut self) -> String {
        std::iter::from_fn(|| self.next_if(is_name)).collect::<Vec<_>>().join(" ")
    }

    /// A type that is written out where it is used.
    fn unnamed(&mut self, keyword: &'a str) -> String {
        let mut text = vec![keyword];
        let mut open = 0usize;
        while let Some(word) = self.next_if(|word| open > 0 || word == "{" || !is_mark(word)) {
            text.push(word);
            match word {
                "{" => open += 1,
                "}" if open == 1 => break,
                "}" => open -= 1,
                _ => {}
            }
        }
        text.join(" ")
    }

    /// `structure_type name { member … , member … } byte_size(n)`
    fn fields(&mut self) -> Fields {
        self.find(|&word| word == "{");
        let mut members = Vec::new();
        while let Some(word) = self.next() {
            match word {
                "member" => members.push(self.named(0)),
                "}" => break,
                _ => {}
            }
        }
        Fields { members, bytes: self.find_map(|word| attribute(word, "byte_size")) }
    }

    /// `enumeration_type name { enumerator A = 0 , … }`
    fn values(&mut self) -> Vec<(String, String)> {
        let mut values = Vec::new();
        while let Some(word) = self.next() {
            if word != "enumerator" {
                continue;
            }
            if let (Some(name), Some("="), Some(value)) = (self.next(), self.next(), self.next()) {
                values.push((name.to_owned(), value.to_owned()));
            }
        }
        values
    }
}

fn pointer_to(kind: &str) -> String {
    match kind.split_once(" (") {
        // A pointer to a function.
        Some((returns, rest)) if rest.ends_with(')') => format!("{returns} (*)({rest}"),
        _ if kind.ends_with('*') => format!("{kind}*"),
        _ => format!("{kind} *"),
    }
}

fn is_mark(word: &str) -> bool {
    matches!(word, "," | "(" | ")" | "{" | "}" | "->" | "=")
}

fn is_name(word: &str) -> bool {
    !is_mark(word) && !is_attribute(word)
}

/// `byte_size(8)` and the like.
fn is_attribute(word: &str) -> bool {
    word.len() > 1 && word.ends_with(')') && word.contains('(')
}

/// An attribute of a member, not of its type.
fn is_place(word: &str) -> bool {
    ["data_member_location(", "data_bit_offset(", "bit_size("].iter().any(|p| word.starts_with(p))
}

fn attribute(word: &str, name: &str) -> Option<u64> {
    word.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_reads_as_c() {
        let char_text = "base_type char byte_size(1) encoding(6)";
        let text = format!(
            "subprogram ( formal_parameter pointer_type {{ const_type {{ {char_text} }} }} \
             byte_size(8) name , formal_parameter t#my_t start ) -> \
             pointer_type {{ s#counter }} byte_size(8)"
        );
        assert_eq!(as_c(&text), "struct counter * (const char *name, my_t start)");
        assert_eq!(as_c("variable array_type[4] { s#'a b' }"), "struct a b[4]");
        let callback = "variable pointer_type { subroutine_type ( formal_parameter t#u64 ) -> \
                        base_type int byte_size(4) encoding(5) } byte_size(8)";
        assert_eq!(as_c(callback), "int (*)(u64)");
    }

    #[test]
    fn a_damaged_text_ends() {
        for text in ["subprogram (", "structure_type a {", "pointer_type {", "}", "member", ""] {
            as_c(text);
            crate::symtype_diff::changes("s#a", text, "structure_type a { }");
        }
        as_c(&"pointer_type { ".repeat(100_000));
    }
}
