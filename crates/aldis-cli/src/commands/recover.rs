//! `aldis peer recover`: has the history that was lost here fetched from a peer, and follows it with a progress bar.

use std::time::Duration;

use aldis_control::{PeerAct, PeerQuery, PeerView, RecoveryState, RecoveryView};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Session, administer};
use crate::args::RecoverArgs;
use crate::failure::Failure;
use crate::render;

/// How often it is asked how far it has come.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) async fn run(session: &Session, args: RecoverArgs) -> Result<(), Failure> {
    let id = args.reason.id.clone();
    let follows_only = args.wait && args.reason.why.is_none() && is_confirmed(&view(session, &id).await?);
    if !follows_only {
        administer::simply(session, PeerAct::Recover, args.reason).await?;
    }
    if args.wait { follow(session, &id).await } else { Ok(()) }
}

/// Follows until it has ended; what a second administrator must approve first is waited for too.
async fn follow(session: &Session, id: &str) -> Result<(), Failure> {
    let bar = ProgressBar::new(0);
    if session.json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{msg:20} {wide_bar} {pos}/{len} {eta:>5}");
    bar.set_style(style.expect("the template is well formed"));
    bar.enable_steady_tick(Duration::from_millis(200));
    loop {
        let peer = view(session, id).await?;
        let Some(recovery) = &peer.recovery else {
            let advice = "see how it stands with `aldis peer show`";
            return Err(Failure::NotThere { what: format!("nothing of {id} was lost here"), advice });
        };
        match recovery.state {
            RecoveryState::Complete | RecoveryState::Failed => {
                bar.finish_and_clear();
                session.show(&peer, render::recovery)?;
                return if recovery.state == RecoveryState::Complete {
                    Ok(())
                } else {
                    Err(Failure::Integrity { findings: 1 })
                };
            }
            state => advance(&bar, recovery, state),
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn advance(bar: &ProgressBar, recovery: &RecoveryView, state: RecoveryState) {
    bar.set_length(recovery.total);
    bar.set_position(recovery.done);
    bar.set_message(match state {
        RecoveryState::Unconfirmed => "waits for approval",
        RecoveryState::Fetching => "fetching",
        _ => "waits for a link",
    });
}

fn is_confirmed(peer: &PeerView) -> bool {
    let waits = [RecoveryState::Unconfirmed, RecoveryState::NotCompared];
    peer.recovery.as_ref().is_some_and(|recovery| !waits.contains(&recovery.state))
}

async fn view(session: &Session, id: &str) -> Result<PeerView, Failure> {
    Ok(session.client.peer(&PeerQuery { id: id.to_owned() }).await?)
}
