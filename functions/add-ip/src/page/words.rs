//! What members read, in each language.

/// The texts of one language.
#[derive(Debug)]
pub struct Words {
    /// For `<html lang>`.
    pub language: &'static str,
    /// The title of every page.
    pub title: &'static str,
    /// Introduces the caller's address.
    pub seen_as: &'static str,
    /// Said when the API told no address.
    pub unknown_address: &'static str,
    /// Labels the key's field.
    pub key: &'static str,
    /// Explains where the key is from.
    pub key_hint: &'static str,
    /// The one button.
    pub button: &'static str,
    /// While an answer is waited for.
    pub working: &'static str,
    /// State of a network.
    pub allowed: &'static str,
    /// State of a network.
    pub not_allowed: &'static str,
    /// State of a network.
    pub added: &'static str,
    /// The other endpoint did not answer: said where one of the two works.
    pub other_unreachable: &'static str,
    /// Neither endpoint answered.
    pub unreachable: &'static str,
    /// Said after success.
    pub soon: &'static str,
    /// Introduces when entries end.
    pub until: &'static str,
    /// Summary of the command-line part.
    pub command_line: &'static str,
    /// Why there is one.
    pub command_line_hint: &'static str,
    /// Leads back to the page.
    pub back: &'static str,
    /// Said for 503.
    pub retry: &'static str,
    /// By kind of error, where the message itself is not in this language.
    pub errors: &'static [(&'static str, &'static str)],
}

impl Words {
    /// What to say about an error; `message` is English.
    #[must_use]
    pub fn error<'a>(&self, kind: &str, message: &'a str) -> &'a str {
        self.errors
            .iter()
            .find(|(known, _)| *known == kind)
            .map_or(message, |(_, text)| text)
    }
}

/// English.
pub static ENGLISH: Words = Words {
    language: "en",
    title: "Let me in",
    seen_as: "AWS sees you as",
    unknown_address: "an unknown address",
    key: "Your key",
    key_hint: "It is part of the bookmark that the administrator gave you.",
    button: "Let this address in",
    working: "One moment …",
    allowed: "is allowed",
    not_allowed: "is not allowed yet",
    added: "is allowed now",
    other_unreachable: "The second endpoint (IPv4 and IPv6) could not be reached from this network. That is fine where there is no IPv6.",
    unreachable: "The service could not be reached. Check your connection and try again.",
    soon: "AWS may take some seconds to apply it everywhere.",
    until: "Entries end",
    command_line: "On the command line",
    command_line_hint: "Your command line may leave by another address than your browser (private relay, proxy, VPN). Then run this there:",
    back: "Back to the page",
    retry: "Your request is remembered. Try again in a few seconds.",
    errors: &[],
};

/// Japanese.
pub static JAPANESE: Words = Words {
    language: "ja",
    title: "アクセス許可",
    seen_as: "AWS から見たあなたのアドレス:",
    unknown_address: "不明なアドレス",
    key: "キー",
    key_hint: "管理者から受け取ったブックマークに含まれています。",
    button: "このアドレスを許可する",
    working: "お待ちください…",
    allowed: "は許可されています",
    not_allowed: "はまだ許可されていません",
    added: "を許可しました",
    other_unreachable: "もう一つの接続先 (IPv4 / IPv6) には、このネットワークから接続できませんでした。IPv6 がなければ問題ありません。",
    unreachable: "サービスに接続できませんでした。接続を確認して、もう一度お試しください。",
    soon: "AWS 全体に反映されるまで数秒かかることがあります。",
    until: "許可の期限:",
    command_line: "コマンドラインから",
    command_line_hint: "コマンドラインはブラウザーと別のアドレスから出ることがあります (プライベートリレー、プロキシ、VPN)。その場合は次を実行してください:",
    back: "ページに戻る",
    retry: "リクエストは記録されています。数秒後にもう一度お試しください。",
    errors: &[
        (
            "unauthorized",
            "有効なキーが必要です。管理者にお問い合わせください。",
        ),
        (
            "prefetch",
            "先読みでは何も変更しません。ページを直接開いてください。",
        ),
        (
            "not_found",
            "ここには何もありません。アドレスを確認してください。",
        ),
        ("method_not_allowed", "この操作には対応していません。"),
        (
            "address_not_public",
            "インターネット上のアドレスではないため、AWS からは見えません。インターネットから接続してください。",
        ),
        (
            "explicit_ip_disabled",
            "ほかのアドレスの指定は無効になっています。",
        ),
        (
            "bad_ip",
            "IP アドレスまたは CIDR の形式が正しくありません。",
        ),
        (
            "too_wide",
            "範囲が広すぎます。IPv4 は /24、IPv6 は /48 より狭くしてください。",
        ),
        (
            "policy_full",
            "ポリシーがいっぱいです。次のリセットを待つか、管理者にお問い合わせください。",
        ),
        (
            "too_many_entries",
            "登録数の上限に達しました。次のリセットを待つか、管理者にお問い合わせください。",
        ),
        ("busy", "混み合っています。"),
        ("throttled", "AWS が混み合っています。"),
        (
            "no_gate",
            "ポリシーに対象のリストがありません。管理者にお知らせください。",
        ),
        (
            "ambiguous_gate",
            "ポリシーの対象のリストを特定できません。管理者にお知らせください。",
        ),
        (
            "malformed_document",
            "ポリシーを処理できません。管理者にお知らせください。",
        ),
        (
            "baseline_unusable",
            "ベースラインを使用できません。管理者にお知らせください。",
        ),
        (
            "aws_error",
            "AWS でエラーが発生しました。管理者にお知らせください。",
        ),
    ],
};

/// The language that `Accept-Language` prefers; English where it says nothing that we have.
/// <https://www.rfc-editor.org/rfc/rfc9110#name-accept-language>
#[must_use]
pub fn preferred(accept_language: &str) -> &'static Words {
    let quality = |language: &str| {
        super::weights(accept_language)
            .filter(|(range, _)| {
                range
                    .split('-')
                    .next()
                    .is_some_and(|primary| primary.eq_ignore_ascii_case(language))
            })
            .map(|(_, quality)| quality)
            .max()
            .unwrap_or(0)
    };
    if quality("ja") > quality("en") {
        &JAPANESE
    } else {
        &ENGLISH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_language_is_taken_by_its_weight() {
        for (header, language) in [
            ("", "en"),
            ("ja", "ja"),
            ("ja-JP,ja;q=0.9,en-US;q=0.8", "ja"),
            ("en-US,en;q=0.9,ja;q=0.8", "en"),
            ("fr, ja;q=0.3", "ja"),
            ("ja;q=0, en;q=0", "en"),
            ("de", "en"),
        ] {
            assert_eq!(preferred(header).language, language, "{header}");
        }
    }
}
