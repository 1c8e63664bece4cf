//! The options of `aldis send`, and how an indicator and an asset are typed.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use aldis_control::{Precedence, Tlp};
use clap::Args;

use crate::when::parse_duration;

const EXAMPLE: &str = "Example:
  aldis send --to cert.cl --precedence priority --tlp amber --subject 'C2 in a bank' \\
    --class malicious-code --type c2-server --indicator 'ip:192.0.2.7#seen today' --body notice.txt
  aldis send --to cert.cl --precedence routine --tlp amber --subject 'Samples' --body n.txt --attach samples.7z
  aldis send --bulk notices.ndjson";

/// What `--bulk` does not go with: its file says all of that.
const OF_ONE_MESSAGE: [&str; 43] = [
    "to",
    "kind",
    "precedence",
    "tlp",
    "subject",
    "body",
    "edit",
    "notice",
    "attach",
    "language",
    "class",
    "type_",
    "severity",
    "stage",
    "suspected_malicious",
    "cross_border",
    "sector",
    "detected_at",
    "started_at",
    "ended_at",
    "aware_at",
    "asset",
    "indicator",
    "action",
    "reply_by",
    "source",
    "credibility",
    "likelihood",
    "intent",
    "attribution",
    "confidence",
    "case",
    "desk",
    "supersedes",
    "relates",
    "exercise",
    "author",
    "on_behalf_of",
    "expires_in",
    "acknowledge_within",
    "long",
    "wait",
    "wait_limit",
];

#[derive(Clone, Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct SendArgs {
    /// The peer; may be repeated, each then gets its own copy that names the others.
    #[arg(long, value_name = "PEER")]
    pub(crate) to: Vec<String>,
    /// What the notice is; `incident` when absent.
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// flash, immediate, priority or routine.
    #[arg(long)]
    pub(crate) precedence: Option<Precedence>,
    /// red, amber+strict, amber, green or clear. Always needed, never assumed.
    #[arg(long)]
    pub(crate) tlp: Option<Tlp>,
    /// One line that says what it is about.
    #[arg(long, short)]
    pub(crate) subject: Option<String>,

    /// A file with the text, or - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "edit", help_heading = "Text")]
    pub(crate) body: Option<PathBuf>,
    /// Write the text in $VISUAL or $EDITOR.
    #[arg(long, help_heading = "Text")]
    pub(crate) edit: bool,
    /// A complete notice as JSON or TOML; other options take precedence over what it says.
    #[arg(long, value_name = "FILE", help_heading = "Text")]
    pub(crate) notice: Option<PathBuf>,
    /// A file to go with it, at most 4 GiB; may be repeated, up to 16 times. It travels behind all text.
    #[arg(long, value_name = "FILE", help_heading = "Text")]
    pub(crate) attach: Vec<PathBuf>,
    /// Language of subject and text, BCP 47; en when absent.
    #[arg(long, value_name = "TAG", help_heading = "Text")]
    pub(crate) language: Option<String>,

    /// RSIT class; other when absent. See `aldis vocabulary` for all codes.
    #[arg(long, value_name = "CODE", help_heading = "Incident")]
    pub(crate) class: Option<String>,
    /// RSIT type within the class.
    #[arg(long = "type", value_name = "CODE", help_heading = "Incident")]
    pub(crate) type_: Option<String>,
    /// informational, low, medium, high or critical.
    #[arg(long, value_name = "CODE", help_heading = "Incident")]
    pub(crate) severity: Option<String>,
    /// NIS2 stage: none, early-warning, notification, progress or final.
    #[arg(long, value_name = "CODE", help_heading = "Incident")]
    pub(crate) stage: Option<String>,
    /// unknown, yes or no.
    #[arg(long, value_name = "ANSWER", help_heading = "Incident")]
    pub(crate) suspected_malicious: Option<String>,
    /// unknown, yes or no.
    #[arg(long, value_name = "ANSWER", help_heading = "Incident")]
    pub(crate) cross_border: Option<String>,
    /// NIS2 sector; may be repeated.
    #[arg(long, value_name = "CODE", help_heading = "Incident")]
    pub(crate) sector: Vec<String>,
    /// When it was detected: a time, a date, or 2h for two hours ago.
    #[arg(long, value_name = "TIME", help_heading = "Incident")]
    pub(crate) detected_at: Option<String>,
    /// When it began.
    #[arg(long, value_name = "TIME", help_heading = "Incident")]
    pub(crate) started_at: Option<String>,
    /// When it ended.
    #[arg(long, value_name = "TIME", help_heading = "Incident")]
    pub(crate) ended_at: Option<String>,
    /// When the entity became aware of it.
    #[arg(long, value_name = "TIME", help_heading = "Incident")]
    pub(crate) aware_at: Option<String>,
    /// `NAME[,kind=K][,sector=S][,comment=C]`; may be repeated.
    #[arg(long, value_name = "ASSET", help_heading = "Incident")]
    pub(crate) asset: Vec<AssetArg>,
    /// KIND:VALUE[#COMMENT] with ip, domain, url, hash or email (for a url: a space before #); may be repeated.
    #[arg(long, value_name = "INDICATOR", help_heading = "Incident")]
    pub(crate) indicator: Vec<IndicatorArg>,

    /// What you ask them to do, IODEF; nothing when absent.
    #[arg(long, value_name = "CODE", help_heading = "Request")]
    pub(crate) action: Option<String>,
    /// Until when you ask for an answer: a time, or 4h for in four hours.
    #[arg(long, value_name = "TIME", help_heading = "Request")]
    pub(crate) reply_by: Option<String>,

    /// Reliability of the source, A to F; F when absent.
    #[arg(long, value_name = "A-F", help_heading = "Judgement")]
    pub(crate) source: Option<String>,
    /// Credibility of the information, 1 to 6; 6 when absent.
    #[arg(long, value_name = "1-6", value_parser = clap::value_parser!(u8).range(1..=6), help_heading = "Judgement")]
    pub(crate) credibility: Option<u8>,
    /// One of seven bands; unknown when absent.
    #[arg(long, value_name = "CODE", help_heading = "Judgement")]
    pub(crate) likelihood: Option<String>,
    /// The intent behind it; unknown when absent.
    #[arg(long, value_name = "CODE", help_heading = "Judgement")]
    pub(crate) intent: Option<String>,
    /// Who is thought to be behind it.
    #[arg(long, value_name = "TEXT", requires = "confidence", help_heading = "Judgement")]
    pub(crate) attribution: Option<String>,
    /// How sure you are of the attribution.
    #[arg(long, value_name = "CODE", requires = "attribution", help_heading = "Judgement")]
    pub(crate) confidence: Option<String>,

    /// The case it belongs to; a new one when absent.
    #[arg(long, help_heading = "Place")]
    pub(crate) case: Option<String>,
    /// The desk it is for; technical when absent.
    #[arg(long, help_heading = "Place")]
    pub(crate) desk: Option<String>,
    /// The message it takes the place of; both stay readable. May be repeated.
    #[arg(long, value_name = "ID", help_heading = "Place")]
    pub(crate) supersedes: Vec<String>,
    /// A message it has to do with; may be repeated.
    #[arg(long, value_name = "ID", help_heading = "Place")]
    pub(crate) relates: Vec<String>,
    /// Marks it as part of this exercise.
    #[arg(long, value_name = "NAME", help_heading = "Place")]
    pub(crate) exercise: Option<String>,
    /// Your name or function; your user name when absent.
    #[arg(long, value_name = "NAME", help_heading = "Place")]
    pub(crate) author: Option<String>,
    /// The third party in whose name it is sent.
    #[arg(long, value_name = "NAME", help_heading = "Place")]
    pub(crate) on_behalf_of: Option<String>,
    /// How long it may wait to be delivered, such as 2d.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Place")]
    pub(crate) expires_in: Option<Duration>,
    /// Within what time a person there should acknowledge it, such as 30m; as agreed, or as the precedence has it, when
    /// absent.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Place")]
    pub(crate) acknowledge_within: Option<Duration>,
    /// Why a FLASH must have more words than this node allows; the reason is on record with it.
    #[arg(long, value_name = "REASON", help_heading = "Place")]
    pub(crate) long: Option<String>,
    /// Wait until it is proven to be on the peer's disk.
    #[arg(long, help_heading = "Place")]
    pub(crate) wait: bool,
    /// How long to wait at most; one minute when absent.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "wait", help_heading = "Place")]
    pub(crate) wait_limit: Option<Duration>,

    /// Send many messages: a file, or - for standard input, with a line of JSON for each, as `POST /v1/messages` takes it.
    #[arg(long, value_name = "FILE", conflicts_with_all = OF_ONE_MESSAGE, help_heading = "Many at once")]
    pub(crate) bulk: Option<PathBuf>,
}

/// `KIND:VALUE[#COMMENT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndicatorArg {
    pub(crate) kind: String,
    pub(crate) value: String,
    pub(crate) comment: Option<String>,
}

/// `NAME[,kind=K][,sector=S][,comment=C]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AssetArg {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    pub(crate) sector: Option<String>,
    pub(crate) comment: Option<String>,
}

impl FromStr for IndicatorArg {
    type Err = String;

    /// A `#` belongs to a URL unless a space stands before it; in anything else it starts the comment.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').ok_or("write KIND:VALUE, such as ip:192.0.2.7")?;
        let separator = if kind == "url" { " #" } else { "#" };
        let (value, comment) = match rest.split_once(separator) {
            Some((value, comment)) => (value, Some(comment.trim().to_owned())),
            None => (rest, None),
        };
        let value = value.trim();
        if kind.is_empty() || value.is_empty() {
            return Err("kind and value must not be empty: write KIND:VALUE, such as ip:192.0.2.7".into());
        }
        Ok(Self { kind: kind.to_owned(), value: value.to_owned(), comment })
    }
}

impl FromStr for AssetArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A comment may hold commas, so it is taken first and to the end.
        let (text, comment) = match text.split_once(",comment=") {
            Some((text, comment)) => (text, Some(comment.to_owned())),
            None => (text, None),
        };
        let mut parts = text.split(',');
        let name = parts.next().unwrap_or_default().trim().to_owned();
        if name.is_empty() {
            return Err("an asset needs a name: write NAME[,kind=K][,sector=S][,comment=C]".into());
        }
        let mut asset = Self { name, comment, ..Self::default() };
        for part in parts {
            match part.split_once('=') {
                Some(("kind", value)) => asset.kind = Some(value.to_owned()),
                Some(("sector", value)) => asset.sector = Some(value.to_owned()),
                _ => {
                    return Err(format!("`{part}` is not understood: write NAME[,kind=K][,sector=S][,comment=C]"));
                }
            }
        }
        Ok(asset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_many_goes_with_nothing_that_makes_one() {
        let options = SendArgs::augment_args(clap::Command::new("send"));
        let of_one = options.get_arguments().map(|option| option.get_id().as_str()).filter(|id| *id != "bulk");
        assert_eq!(of_one.collect::<Vec<_>>(), OF_ONE_MESSAGE);
    }

    #[test]
    fn an_indicator_keeps_its_colons_and_a_url_its_fragment() {
        let parse = |text: &str| {
            let IndicatorArg { kind, value, comment } = text.parse().unwrap();
            (kind, value, comment)
        };
        assert_eq!(parse("ip:2001:db8::7#seen"), ("ip".into(), "2001:db8::7".into(), Some("seen".into())));
        assert_eq!(parse("url:http://x.example/#a"), ("url".into(), "http://x.example/#a".into(), None));
        assert_eq!(
            parse("url:http://x.example/#a # c"),
            ("url".into(), "http://x.example/#a".into(), Some("c".into()))
        );
        for text in ["", "ip", "ip:", ":x", "ip:#only", "ip: "] {
            assert!(text.parse::<IndicatorArg>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_asset_is_a_name_and_what_is_known_of_it() {
        let asset: AssetArg = "grid control,kind=scada,sector=energy,comment=two sites, both down".parse().unwrap();
        assert_eq!(asset.name, "grid control");
        assert_eq!((asset.kind.as_deref(), asset.sector.as_deref()), (Some("scada"), Some("energy")));
        assert_eq!(asset.comment.as_deref(), Some("two sites, both down"));
        for text in ["", ",kind=x", "a,colour=red", "a,b"] {
            assert!(text.parse::<AssetArg>().is_err(), "{text}");
        }
    }
}
