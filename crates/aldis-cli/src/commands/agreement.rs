//! `aldis peer agreement`: both sides' terms beside each other, and setting ours.

use aldis_control::{AgreementRequest, PeerQuery, PerLane, Terms};

use super::{Session, moment};
use crate::args::AgreementArgs;
use crate::failure::Failure;
use crate::render::{self, Page};
use crate::when::Bare;

pub(crate) async fn run(session: &Session, args: AgreementArgs) -> Result<(), Failure> {
    let now = session.client.agreement(&PeerQuery { id: args.id.clone() }).await?;
    if !args.set {
        return session.show(&now, render::agreement);
    }
    let id = args.id.clone();
    let terms = terms(args, now.ours.map(|ours| ours.terms), session.page)?;
    let set = session.client.agreement_set(&AgreementRequest { id, terms }).await?;
    session.show(&set, render::agreement)
}

/// The new terms: what is named, and of the rest what was there before.
fn terms(args: AgreementArgs, before: Option<Terms>, page: Page) -> Result<Terms, Failure> {
    let before = before.as_ref();
    let mut within = before.map_or_else(PerLane::default, |before| before.acknowledge_within_s);
    for (precedence, seconds) in args.acknowledge_within {
        *within.get_mut(precedence) = seconds.into();
    }
    let named = !args.kind.is_empty() || args.every_kind;
    let kept = before.map(|before| before.kinds.clone()).unwrap_or_default();
    Ok(Terms {
        kinds: if named { args.kind } else { kept },
        highest_tlp: needed("--highest-tlp", args.highest_tlp.or(before.map(|before| before.highest_tlp)))?,
        flash_per_day: needed("--flash-per-day", args.flash_per_day.or(before.map(|before| before.flash_per_day)))?,
        messages_per_hour: needed(
            "--messages-per-hour",
            args.messages_per_hour.or(before.map(|before| before.messages_per_hour)),
        )?,
        bytes_per_hour: needed("--bytes-per-hour", args.bytes_per_hour.or(before.map(|before| before.bytes_per_hour)))?,
        attachment_max_bytes: args.attachment_max_bytes.or(before.and_then(|before| before.attachment_max_bytes)),
        acknowledge_within_s: within,
        expires_at: needed("--expires", moment(args.expires, page, Bare::Ahead)?)?,
    })
}

fn needed<T>(option: &str, value: Option<T>) -> Result<T, Failure> {
    let what = || format!("the first terms towards a peer need {option}");
    value.ok_or_else(|| Failure::usage(what(), "name it; later terms keep what is not named"))
}

#[cfg(test)]
mod tests {
    use aldis_control::{Precedence, Tlp, UnixMillis};
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command, PeerCommand};
    use crate::paint::Paint;

    const PAGE: Page = Page { now: UnixMillis(1_795_316_400_000), paint: Paint::off() };

    fn args(line: &str) -> AgreementArgs {
        let line = format!("aldis peer agreement cert.cl {line}");
        match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
            Command::Peer(PeerCommand::Agreement(args)) => *args,
            other => panic!("{other:?}"),
        }
    }

    const FIRST: &str = "--set --kind incident --highest-tlp amber --flash-per-day 3 --messages-per-hour 100 \
                         --bytes-per-hour 1000000 --acknowledge-within flash=900 --expires 2027-11-22";

    #[test]
    fn the_first_terms_name_everything_and_later_ones_keep_what_is_not_named() {
        let first = terms(args(FIRST), None, PAGE).unwrap();
        assert_eq!((first.highest_tlp, first.flash_per_day, first.messages_per_hour), (Tlp::Amber, 3, 100));
        assert_eq!(first.acknowledge_within_s.get(Precedence::Flash), 900);
        assert_eq!(first.expires_at.to_string(), "2027-11-22T00:00:00.000Z");
        let later = args("--set --flash-per-day 0 --acknowledge-within immediate=60 --expires 365d");
        let later = terms(later, Some(first.clone()), PAGE).unwrap();
        assert_eq!((later.flash_per_day, later.acknowledge_within_s.immediate), (0, 60));
        assert_eq!(
            (later.kinds, later.highest_tlp, later.acknowledge_within_s.flash),
            (first.kinds.clone(), Tlp::Amber, 900)
        );
        let files = terms(args("--set --attachment-max-bytes 7 --expires 365d"), Some(first.clone()), PAGE).unwrap();
        let kept = terms(args("--set --expires 365d"), Some(files), PAGE).unwrap();
        assert_eq!((first.attachment_max_bytes, kept.attachment_max_bytes), (None, Some(7)));
        let wider = terms(args("--set --every-kind --expires 365d"), Some(first), PAGE).unwrap();
        assert!(wider.kinds.is_empty());
    }

    #[test]
    fn first_terms_that_leave_something_open_are_not_guessed() {
        for left_out in
            ["--highest-tlp amber", "--flash-per-day 3", "--messages-per-hour 100", "--bytes-per-hour 1000000"]
        {
            let error = terms(args(&FIRST.replace(left_out, "")), None, PAGE).unwrap_err();
            let option = left_out.split(' ').next().unwrap();
            assert!(error.to_string().contains(option), "{error}");
        }
    }
}
