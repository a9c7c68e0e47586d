//! Methods of builders.

/// Methods that change a value and return it: each is given as what it changes.
macro_rules! builder {
    ($($(#[$doc:meta])* fn $name:ident($self:ident $(, $arg:ident: $type:ty)*) $body:block)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut $self $(, $arg: $type)*) -> Self {
                $body
                $self
            }
        )*
    };
}

pub(crate) use builder;
