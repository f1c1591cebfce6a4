use std::fmt;
use std::str::FromStr;

/// The way to a value, such as `applications[0].scaling.drain`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<Step>);

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into the field of this name; a variant's fields are one step away, too.
    Field(String),
    /// Into this item of a list, a tuple or a variant's unnamed values.
    Index(usize),
}

impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (name, mut indices) = part.split_at(part.find('[').unwrap_or(part.len()));
            let is_name = |c: char| c == '_' || c.is_alphanumeric();
            if name.is_empty() || !name.chars().all(is_name) {
                return Err(format!("`{part}` does not begin with a field name"));
            }
            steps.push(Step::Field(name.to_owned()));
            while !indices.is_empty() {
                let (index, rest) = indices
                    .strip_prefix('[')
                    .and_then(|rest| rest.split_once(']'))
                    .ok_or_else(|| format!("an index in `{part}` is not of the form `[0]`"))?;
                let index = index
                    .parse()
                    .map_err(|_| format!("`{index}` in `{part}` is not an index"))?;
                steps.push(Step::Index(index));
                indices = rest;
            }
        }
        Ok(Self(steps))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if index > 0 => write!(f, ".{name}")?,
                Step::Field(name) => f.write_str(name)?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_they_are_written() {
        for good in ["name", "applications[0].instances[12].engine", "a[1][2].b"] {
            assert_eq!(good.parse::<Path>().unwrap().to_string(), good);
        }
        for bad in [
            "", "a..b", "[0]", "a[0", "a[x]", "a]0[", "a b", "a[0]x", "a[-1]",
        ] {
            assert!(bad.parse::<Path>().is_err(), "{bad}");
        }
    }
}
