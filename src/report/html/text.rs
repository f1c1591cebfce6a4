//! Text on its way into a page.

/// Text as HTML: what it says is shown and never read as markup, in an attribute as elsewhere.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text in an address, byte by byte where a byte would mean something there.
pub(super) fn in_address(text: &str) -> String {
    use std::fmt::Write as _;
    let mut address = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                address.push(byte.into());
            }
            // A text never fails to take more.
            _ => _ = write!(address, "%{byte:02X}"),
        }
    }
    address
}

/// JSON that may stand in a script: nothing in it ends the script.
pub(super) fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(escape("<b a='1'>&\""), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;");
        assert_eq!(in_script("\"</script>\""), "\"\\u003c/script>\"");
    }
}
