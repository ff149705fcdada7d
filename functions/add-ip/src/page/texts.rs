//! What members read, in each language. `{}` stands for a time, a network or a name.

use super::accept::weights;

/// Defines [`Texts`] with both languages side by side, so that nobody can forget one. The script
/// gets the second part.
macro_rules! texts {
    (
        page { $($(#[$page_doc:meta])* $page:ident: $page_english:literal, $page_japanese:literal;)* }
        script { $($(#[$doc:meta])* $name:ident: $english:literal, $japanese:literal;)* }
    ) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub struct Texts {
            $($(#[$page_doc])* pub $page: &'static str,)*
            $($(#[$doc])* pub $name: &'static str,)*
            /// By kind of error that only a page tells. Empty in English: there the message itself is shown.
            pub page_errors: &'static [(&'static str, &'static str)],
            /// By kind of every other error. Empty in English as well.
            pub errors: &'static [(&'static str, &'static str)],
        }

        /// English.
        pub static ENGLISH: Texts =
            Texts { $($page: $page_english,)* $($name: $english,)* page_errors: &[], errors: &[] };

        /// Japanese.
        pub static JAPANESE: Texts =
            Texts { $($page: $page_japanese,)* $($name: $japanese,)* page_errors: PAGE_ERRORS, errors: ERRORS };

        impl Texts {
            /// The texts of the script with their names.
            pub(super) fn of_script(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            #[cfg(test)]
            fn all(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
                [$((stringify!($page), self.$page),)*].into_iter().chain(self.of_script())
            }
        }
    };
}

texts! {
    page {
        /// For `<html lang>`.
        language: "en", "ja";
        /// State: no key is known.
        start: "Are you in?", "許可の確認";
        /// What to do in that state.
        start_hint: "Enter your key to see it.", "キーを入力すると確認できます。";
        /// State: a key is known, and nothing was asked for with it.
        ready: "Nothing has changed yet", "まだ何も変更していません";
        /// What to do in that state.
        ready_hint: "Press the button if you want this address in.", "このアドレスを許可するにはボタンを押してください。";
        /// State: entries were removed.
        removed: "Removed", "削除しました";
        /// State: there was nothing to remove.
        unchanged: "Nothing to remove", "削除するものはありません";
        /// When every entry ends.
        reset_note: "Every entry ends at the next reset: {}", "すべての登録は次のリセットで終わります: {}";
        /// The API sent no address.
        unknown_address: "an unknown address", "不明なアドレス";
        /// Labels the key's field.
        key: "Your key", "キー";
        /// Explains where to get the key.
        key_hint: "It is part of the bookmark that the administrator gave you.", "管理者から受け取ったブックマークに含まれています。";
        /// Introduces another address than the caller's, if the link names one.
        other_address: "For the address", "対象のアドレス:";
        /// Labels the durations.
        duration: "For how long?", "期間";
        /// A duration.
        one_hour: "1 hour", "1 時間";
        /// A duration.
        four_hours: "4 hours", "4 時間";
        /// A duration.
        reset: "Until reset", "リセットまで";
        /// The button, without JavaScript.
        add: "Let this address in", "このアドレスを許可する";
        /// The second button.
        check: "Show my entries", "登録を表示する";
        /// Headline of the member's own entries.
        entries: "Your entries", "あなたの登録";
        /// Marks the entry that the browser comes from.
        this_device: "this device", "この端末";
        /// Summary of the command-line part.
        command_line: "On the command line", "コマンドラインから";
        /// Why there is one.
        command_line_hint: "Your command line may leave by another address than your browser (private relay, proxy, VPN). Then run this there:", "コマンドラインのアドレスはブラウザーと異なることがあります (VPN、プロキシなど)。その場合は次を実行してください:";
        /// Copies the command.
        copy: "Copy", "コピー";
    }
    script {
        /// The name of the page.
        title: "IP gate", "IP ゲート";
        /// State: every address is on the list.
        is_in: "You are in", "許可されています";
        /// State: no address is on the list.
        is_out: "You are not in yet", "まだ許可されていません";
        /// State: one of two addresses is on the list.
        is_partly_in: "Only one of your addresses is in", "一部のアドレスだけ許可されています";
        /// State: the entry's end has passed while the page was open.
        is_over: "Your time is over", "期限が切れました";
        /// State: refused or failed.
        failed: "That did not work", "うまくいきませんでした";
        /// While an answer is waited for.
        working: "One moment …", "お待ちください…";
        /// When an entry ends.
        until: "until {}", "{}まで";
        /// When an entry ends by the reset.
        until_reset: "until {} (next reset)", "{}まで (次のリセット)";
        /// Stands for the moment of the next reset if that is not known.
        next_reset: "the next reset", "次のリセット";
        /// How long an entry still lasts.
        left: "{} left", "残り {}";
        /// The network is on the list for good.
        permanent: "This address is always allowed.", "このアドレスは常に許可されています。";
        /// State of one address.
        address_in: "in", "許可済み";
        /// State of one address.
        address_out: "not in", "未許可";
        /// Somebody else's entry covers the address.
        through: "in by an entry of {}", "{} の登録により許可済み";
        /// Introduces the caller's address.
        seen_as: "AWS sees you as", "AWS から見たアドレス:";
        /// The button adds.
        add_until: "Let me in until {}", "{}まで許可する";
        /// The button gives more time.
        stay_until: "Stay until {}", "{}まで延長する";
        /// The button gives less time.
        shorten_to: "Shorten to {}", "{}までに短縮する";
        /// The button has nothing to do.
        nothing: "Nothing to do", "操作は不要です";
        /// Removes an entry.
        remove: "Remove", "削除";
        /// An entry is gone.
        was_removed: "{} was removed.", "{} を削除しました。";
        /// An entry is still on the list.
        stays_permanent: "{} stays: it is always allowed.", "{} は常に許可されているため残ります。";
        /// An entry is still on the list.
        stays_others: "{} stays: other members have it too.", "{} はほかのメンバーも登録しているため残ります。";
        /// The other endpoint did not answer, but one of the two did.
        other_unreachable: "The second endpoint (IPv4 and IPv6) could not be reached from this network. That is fine if there is no IPv6.", "もう一方の接続先 (IPv4 / IPv6) に接続できませんでした。IPv6 がなければ問題ありません。";
        /// Neither endpoint answered.
        unreachable: "The service could not be reached. Check your connection and try again.", "サービスに接続できませんでした。接続を確認して、もう一度お試しください。";
        /// Said after success.
        soon: "AWS may take some seconds to apply it everywhere.", "AWS 全体に反映されるまで数秒かかることがあります。";
        /// The command was copied.
        copied: "Copied", "コピーしました";
    }
}

impl Texts {
    /// What to say about an error; `message` is English.
    #[must_use]
    pub fn error<'a>(&self, kind: &str, message: &'a str) -> &'a str {
        let mut errors = self.page_errors.iter().chain(self.errors);
        let text = errors.find(|(known, _)| *known == kind);
        text.map_or(message, |(_, text)| text)
    }
}

/// The errors in Japanese that only a page tells: the script never meets them.
#[rustfmt::skip]
const PAGE_ERRORS: &[(&str, &str)] = &[
    ("prefetch", "先読みでは何も変更しません。ページを直接開いてください。"),
    ("cross_site", "ほかのサイトからの操作は受け付けません。ページを直接開いてください。"),
    ("not_found", "ここには何もありません。アドレスを確認してください。"),
    ("method_not_allowed", "この操作には対応していません。"),
];

/// The other errors in Japanese.
#[rustfmt::skip]
const ERRORS: &[(&str, &str)] = &[
    ("unauthorized", "有効なキーが必要です。管理者にお問い合わせください。"),
    ("address_not_public", "AWS から見えないアドレスです。インターネットから接続してください。"),
    ("explicit_ip_disabled", "ほかのアドレスの指定は無効になっています。"),
    ("bad_ip", "IP アドレスまたは CIDR の形式が正しくありません。"),
    ("bad_for", "期間の指定が正しくないか、長すぎます。30m、2h のように指定してください。"),
    ("too_wide", "範囲が広すぎます。IPv4 は /24、IPv6 は /48 までです。"),
    ("policy_full", "ポリシーがいっぱいです。次のリセットを待つか、管理者にお問い合わせください。"),
    ("too_many_entries", "登録数の上限に達しました。不要な登録を削除するか、次のリセットをお待ちください。"),
    ("busy", "混み合っています。数秒後にもう一度お試しください。"),
    ("throttled", "AWS が混み合っています。数秒後にもう一度お試しください。"),
    ("no_gate", "ポリシーに対象のリストがありません。管理者にお知らせください。"),
    ("ambiguous_gate", "ポリシーの対象のリストを特定できません。管理者にお知らせください。"),
    ("malformed_document", "ポリシーを処理できません。管理者にお知らせください。"),
    ("baseline_unusable", "ベースラインを使用できません。管理者にお知らせください。"),
    ("gateway_error", "一時的なエラーです。数秒後にもう一度お試しください。"),
    ("aws_error", "AWS でエラーが発生しました。続く場合は管理者にお知らせください。"),
];

/// The language that `Accept-Language` prefers; English if we have none of them.
/// <https://www.rfc-editor.org/rfc/rfc9110#name-accept-language>
#[must_use]
pub fn preferred(accept_language: &str) -> &'static Texts {
    let quality = |language: &str| {
        weights(accept_language)
            .filter(|(range, _)| {
                let primary = range.split('-').next();
                primary.is_some_and(|primary| primary.eq_ignore_ascii_case(language))
            })
            .map(|(_, quality)| quality)
            .max()
            .unwrap_or(0)
    };
    if quality("ja") > quality("en") { &JAPANESE } else { &ENGLISH }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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

    #[test]
    fn both_languages_have_the_same_places_for_values() {
        for ((name, english), (_, japanese)) in ENGLISH.all().zip(JAPANESE.all()) {
            assert!(!english.is_empty() && !japanese.is_empty(), "{name}");
            let places = |text: &str| text.matches("{}").count();
            assert_eq!(places(english), places(japanese), "{name}");
        }
    }

    #[test]
    fn the_script_gets_the_texts_that_it_shows() {
        let shown = |source: &str| {
            let names = source.split("texts.").skip(1);
            let name = |rest: &str| {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                rest[..end.unwrap_or(rest.len())].to_owned()
            };
            names.map(name).collect::<BTreeSet<_>>()
        };
        let mut of_script = shown(include_str!("page.js"));
        assert!(of_script.remove("errors"));
        let given = ENGLISH.of_script().map(|(name, _)| name.to_owned());
        assert_eq!(of_script, given.collect());
        let mut all = shown(&[include_str!("mod.rs"), include_str!("message.rs")].concat());
        all.extend(of_script);
        for (name, _) in ENGLISH.all() {
            assert!(all.contains(name), "nothing shows {name}");
        }
    }
}
