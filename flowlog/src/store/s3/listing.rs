//! A page of a listing: `ListObjectsV2`, `ListObjects`, and what stores make of them.

use super::Object;

/// Where a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// The first version's way: behind this key.
    Behind(String),
    /// The second version's: with this token.
    Token(String),
}

/// Objects, and where the next ones are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) objects: Vec<Object>,
    pub(super) next: Option<Next>,
}

impl Page {
    /// Reads the answer; `None` where it is no listing.
    ///
    /// A store that does not know the second version may answer with the first: it tells no token, and
    /// where it is asked without a delimiter not even the marker, which is the last key then.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (_, text) = text.split_once("<ListBucketResult")?;
        let objects: Option<Vec<Object>> = text.split("<Contents>").skip(1).map(object).collect();
        let objects = objects?;
        let is_cut = element(text, "IsTruncated") == Some("true");
        let next = || {
            if let Some(token) = element(text, "NextContinuationToken") {
                return Some(Next::Token(plain(token)?));
            }
            let marker = element(text, "NextMarker").and_then(plain);
            marker
                .or_else(|| objects.last().map(|last| last.key.clone()))
                .map(Next::Behind)
        };
        let next = if is_cut { Some(next()?) } else { None };
        Some(Self { objects, next })
    }
}

fn object(text: &str) -> Option<Object> {
    Some(Object {
        key: plain(element(text, "Key")?)?,
        bytes: element(text, "Size")?.trim().parse().ok()?,
    })
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// Text without XML's references (XML 1.0, section 4.6 and 4.1); `None` for one that is none.
fn plain(text: &str) -> Option<String> {
    let mut parts = text.split('&');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';')?;
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#')?;
                let number = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                char::from_u32(number.ok()?)?
            }
        });
        plain.push_str(rest);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(inside: &str) -> Option<Page> {
        Page::parse(&format!(
            "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\"><Name>b</Name>{inside}</ListBucketResult>"
        ))
    }

    #[test]
    fn keys_come_without_references_and_what_is_no_listing_is_told() {
        let found = page("<Contents><Key>a&amp;b&#39;&#x63;</Key><Size>7</Size></Contents>");
        let object = Object {
            key: "a&b'c".into(),
            bytes: 7,
        };
        assert_eq!(found.unwrap().objects, [object]);
        for wrong in [
            "<Contents><Key>a</Key></Contents>",
            "<Contents><Key>&nosuch;</Key><Size>1</Size></Contents>",
            "<Contents><Key>a</Key><Size>-1</Size></Contents>",
            "<IsTruncated>true</IsTruncated>",
        ] {
            assert_eq!(page(wrong), None, "{wrong}");
        }
        assert_eq!(Page::parse("<html>welcome</html>"), None);
    }

    #[test]
    fn a_cut_listing_goes_on_by_token_by_marker_or_behind_its_last_key() {
        let next = |what: &str| {
            let object = "<Contents><Key>k</Key><Size>1</Size></Contents>";
            page(&format!("{what}{object}")).unwrap().next
        };
        let cut = "<IsTruncated>true</IsTruncated>";
        let token = format!("{cut}<NextContinuationToken>t&gt;</NextContinuationToken>");
        assert_eq!(next(&token), Some(Next::Token("t>".into())));
        let marker = format!("{cut}<NextMarker>m</NextMarker>");
        assert_eq!(next(&marker), Some(Next::Behind("m".into())));
        assert_eq!(next(cut), Some(Next::Behind("k".into())));
        assert_eq!(next("<IsTruncated>false</IsTruncated>"), None);
    }
}
