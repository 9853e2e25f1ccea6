//! What is odd but not ambiguous and can be allowed by name. Nothing here is about lengths
//! or where a message ends.

/// Writes the type and its names from one list.
macro_rules! leniencies {
    ($($name:ident, $word:literal, $text:literal;)*) => {
        /// Something odd that a listener or a pool can allow.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Leniency {
            $(#[doc = $text] $name,)*
        }

        impl Leniency {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in the configuration.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// What it allows, for the reference.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

leniencies! {
    TargetNonAscii, "target_non_ascii", "bytes above ASCII in path and query, passed on as they are";
    TargetOdd, "target_odd", "the other printable characters in path and query that should be percent-encoded";
    TargetPercent, "target_percent", "percent signs in path and query without two hexadecimal digits";
    HostEmpty, "host_empty", "a Host without a value";
    HostRegName, "host_reg_name", "all that RFC 3986 allows in a registered name, such as `a%20b` or `a+b`";
    EmptyLines, "empty_lines", "up to eight empty lines before a request instead of one";
    ValueControl, "value_control", "control characters in the values of fields, except NUL, CR and LF";
    StatusWithoutSpace, "status_without_space", "a status line that ends after its three digits";
    StatusAbove599, "status_above_599", "status 600 to 999";
}

impl Leniency {
    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|leniency| leniency.name() == name)
    }
}

/// A set of leniencies; empty unless told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lenient(u16);

impl Lenient {
    /// None: what a listener has unless told.
    pub const NONE: Self = Self(0);

    /// Every leniency there is.
    #[must_use]
    pub fn all() -> Self {
        Leniency::ALL.iter().copied().collect()
    }

    /// This set and `leniency`.
    #[must_use]
    pub const fn with(self, leniency: Leniency) -> Self {
        Self(self.0 | 1 << leniency as u16)
    }

    /// This set without `leniency`.
    #[must_use]
    pub const fn without(self, leniency: Leniency) -> Self {
        Self(self.0 & !(1 << leniency as u16))
    }

    /// Whether `leniency` is in the set.
    #[must_use]
    pub const fn allows(self, leniency: Leniency) -> bool {
        self.0 & 1 << leniency as u16 != 0
    }
}

impl FromIterator<Leniency> for Lenient {
    fn from_iter<I: IntoIterator<Item = Leniency>>(leniencies: I) -> Self {
        leniencies.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_and_a_place() {
        for leniency in Leniency::ALL {
            assert_eq!(Leniency::from_name(leniency.name()), Some(*leniency));
            let alone = Lenient::NONE.with(*leniency);
            let allowed = Leniency::ALL.iter().filter(|other| alone.allows(**other));
            assert_eq!(allowed.collect::<Vec<_>>(), [leniency]);
        }
        assert_eq!(Leniency::from_name("content_length"), None);
    }
}
