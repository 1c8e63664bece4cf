//! `aldis drill`: comm checks by hand, and the figures of those there were.

use aldis_control::{CheckEnd, CheckPart, DrillQuery, DrillRequest, DrillView, Exit};

use super::Session;
use crate::args::DrillArgs;
use crate::failure::Failure;
use crate::render;

pub(crate) async fn run(session: &Session, args: DrillArgs) -> Result<(), Failure> {
    if args.statistics {
        return statistics(session, args.peer).await;
    }
    let request = DrillRequest {
        peers: args.peer,
        part: match (args.human, args.wake) {
            (_, true) => CheckPart::Wake,
            (true, false) => CheckPart::Human,
            (false, false) => CheckPart::Machine,
        },
        text: args.text,
        author: args.author,
        wait_ms: args.wait.map(|seconds| seconds * 1_000),
    };
    let drilled = session.client.drill(&request).await?;
    session.show(&drilled, |drilled, page| render::drilled(drilled, page))?;
    match exit(&drilled, args.wait.is_some()) {
        None => Ok(()),
        Some(exit) => Err(Failure::Explained(exit.code())),
    }
}

async fn statistics(session: &Session, peers: Vec<String>) -> Result<(), Failure> {
    let mut checks = Vec::new();
    for peer in peers.iter().map(Some).chain(peers.is_empty().then_some(None)) {
        checks.extend(session.client.checks(&DrillQuery { peer: peer.cloned() }).await?);
    }
    session.show(&checks, |checks, page| render::checks(checks, page))
}

/// The worst that came of it: what was declined or refused, then what did not come.
fn exit(drilled: &[DrillView], waited: bool) -> Option<Exit> {
    let refused = |view: &DrillView| {
        view.declined.is_some() || view.result.as_ref().is_some_and(|result| result.end == CheckEnd::Refused)
    };
    let silent = |view: &DrillView| match &view.result {
        None => waited,
        Some(result) => result.end == CheckEnd::Missed,
    };
    match () {
        () if drilled.iter().any(refused) => Some(Exit::Refused),
        () if drilled.iter().any(silent) => Some(Exit::Other),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use aldis_control::{ApiError, CheckResultView, UnixMillis};

    use super::*;

    #[test]
    fn the_exit_code_says_the_worst_that_came_of_it() {
        let nothing = DrillView { peer: "cert.cl".into(), id: None, result: None, declined: None };
        let ended = |end| {
            let result = CheckResultView {
                human: false,
                sent_at: UnixMillis(0),
                at: UnixMillis(0),
                end,
                code: None,
                round_trip_ms: None,
                clock_difference_ms: None,
                certificate_days: None,
                commitment: None,
            };
            DrillView { result: Some(result), ..nothing.clone() }
        };
        let declined = ApiError::new(Exit::Refused, "check-open", "open", "wait");
        let declined = DrillView { declined: Some(declined), ..nothing.clone() };
        let [replied, answered, missed, refused] =
            [CheckEnd::Replied, CheckEnd::Answered, CheckEnd::Missed, CheckEnd::Refused].map(ended);
        assert_eq!(exit(&[replied.clone(), answered], true), None);
        assert_eq!(exit(&[replied.clone(), nothing.clone()], false), None);
        assert_eq!(exit(&[replied.clone(), nothing], true), Some(Exit::Other));
        assert_eq!(exit(&[replied.clone(), missed.clone()], false), Some(Exit::Other));
        assert_eq!(exit(&[missed, refused], true), Some(Exit::Refused));
        assert_eq!(exit(&[replied, declined], true), Some(Exit::Refused));
    }
}
