//! What a browser prefers: HTML or JSON, one language or another.

/// The weights of a header like `Accept`, in thousandths.
/// <https://www.rfc-editor.org/rfc/rfc9110#name-quality-values>
pub(super) fn weights(header: &str) -> impl Iterator<Item = (&str, u16)> {
    header.split(',').filter_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let range = parts.next().filter(|range| !range.is_empty())?;
        let given = parts
            .find_map(|parameter| parameter.strip_prefix("q=").or(parameter.strip_prefix("Q=")));
        let quality =
            given.map_or(Some(1.0), |text| text.parse::<f32>().ok()).unwrap_or(0.0).clamp(0.0, 1.0);
        // Within 0 to 1000 by the clamp.
        Some((range, (quality * 1000.0) as u16))
    })
}

/// Whether an `Accept` header prefers HTML. Programs that accept anything get JSON.
#[must_use]
pub fn prefers_html(accept: &str) -> bool {
    let quality = |kind: &str| {
        weights(accept)
            .find(|(range, _)| range.eq_ignore_ascii_case(kind))
            .map_or(0, |(_, quality)| quality)
    };
    let html = quality("text/html").max(quality("application/xhtml+xml"));
    html > 0 && html >= quality("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_browsers_get_html() {
        for accept in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html",
            "application/json;q=0.5, text/html",
        ] {
            assert!(prefers_html(accept), "{accept}");
        }
        for accept in
            ["", "*/*", "application/json", "text/html;q=0", "application/json, text/html;q=0.9"]
        {
            assert!(!prefers_html(accept), "{accept}");
        }
    }
}
