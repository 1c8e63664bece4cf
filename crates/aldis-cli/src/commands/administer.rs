//! What administrators do to peers: the words over the telephone, the acts, and the second person's approval.

use aldis_control::{PeerAct, PeerActRequest, PeerPhrases, PeerQuery, PendingRequest, RequestName, UnixMillis};

use super::Session;
use crate::args::{ApproveArgs, ReasonArgs, RotateArgs, VerifyArgs};
use crate::ask::Person;
use crate::failure::Failure;
use crate::render;

/// Compares words by voice. Their words are not on the screen while they are typed: copying would prove nothing.
pub(crate) async fn verify(session: &Session, args: VerifyArgs) -> Result<(), Failure> {
    if args.show {
        return session.show(&phrases(session, &args.id).await?, render::phrases);
    }
    let phrases = phrases(session, &args.id).await?;
    if phrases.is_next_key {
        // The words are those of the key that waits, and what is verified is the key on record.
        let what = format!("another key of {} waits, and the words would be of that one", phrases.id);
        return Err(Failure::usage(what, format!("first decide about it: `aldis peer rotate {}`", phrases.id)));
    }
    let mut person = Person::here();
    let phrase = match (args.phrase, &mut person) {
        (Some(phrase), _) => phrase,
        (None, Some(person)) => {
            person.tell(&render::words_to_read_out(&phrases, session.aside))?;
            person.words("Now they read their words. Type them:")?
        }
        (None, None) => return Err(phrase_missing()),
    };
    let why = reason(args.why, person.as_mut())?;
    act(session, PeerActRequest { id: args.id, act: PeerAct::Verify, phrase: Some(phrase), why }).await
}

/// Takes or declines the next identity key of a peer.
pub(crate) async fn rotate(session: &Session, args: RotateArgs) -> Result<(), Failure> {
    let phrases = phrases(session, &args.id).await?;
    if !phrases.is_next_key {
        let what = format!("no next identity key of {} waits", args.id);
        return Err(Failure::NotThere { what, advice: "`aldis peer list` names the peers whose next key waits" });
    }
    if args.show {
        return session.show(&phrases, render::phrases);
    }
    let mut person = Person::here();
    if let Some(person) = &mut person {
        person.tell(&render::next_key(&phrases, session.aside))?;
    }
    if args.decline {
        let why = reason(args.why, person.as_mut())?;
        return act(session, PeerActRequest { id: args.id, act: PeerAct::DeclineKey, phrase: None, why }).await;
    }
    let phrase = match (args.phrase, &mut person) {
        (Some(phrase), _) => Some(phrase),
        (None, Some(person)) if phrases.is_vouched => {
            person.confirm("Take this key?")?;
            None
        }
        (None, Some(person)) => Some(person.words("Now they read their words. Type them:")?),
        (None, None) if phrases.is_vouched => None,
        (None, None) => return Err(phrase_missing()),
    };
    let why = reason(args.why, person.as_mut())?;
    act(session, PeerActRequest { id: args.id, act: PeerAct::AcceptKey, phrase, why }).await
}

/// An act that needs a reason and nothing else.
pub(crate) async fn simply(session: &Session, what: PeerAct, args: ReasonArgs) -> Result<(), Failure> {
    let why = reason(args.why, Person::here().as_mut())?;
    act(session, PeerActRequest { id: args.id, act: what, phrase: None, why }).await
}

/// The second person looks at a request and approves it, or an administrator takes it back.
pub(crate) async fn approve(session: &Session, args: &ApproveArgs) -> Result<(), Failure> {
    let client = &session.client;
    let name = RequestName { request: args.request };
    if args.withdraw {
        let left = client.request_withdraw(&name).await?;
        return session.show(&left, |requests, page| render::requests(requests, page));
    }
    let Some(request) = waiting(session, args.request).await? else {
        let what = format!("no request {} waits", args.request);
        let advice = "it was carried out, taken back, overtaken, or ran out; `aldis requests` lists what waits";
        return Err(Failure::NotThere { what, advice });
    };
    let phrases = phrases(session, &request.peer).await?;
    if !args.yes {
        let what = "without a terminal nobody can be asked whether to approve";
        let mut person = Person::here().ok_or_else(|| Failure::usage(what, "look at it first, then add --yes"))?;
        person.tell(&render::request(&request, &phrases, session.aside))?;
        person.confirm(&format!("Approve request {}?", request.request))?;
    }
    let response = client.request_approve(&name).await?;
    session.show(&response, |response, page| {
        let seen = if args.yes { render::request(&request, &phrases, page) } else { String::new() };
        format!("{seen}{}", render::acted(response, request.act, None, page))
    })
}

async fn phrases(session: &Session, id: &str) -> Result<PeerPhrases, Failure> {
    Ok(session.client.peer_phrases(&PeerQuery { id: id.to_owned() }).await?)
}

async fn waiting(session: &Session, number: u64) -> Result<Option<PendingRequest>, Failure> {
    Ok(session.client.requests().await?.into_iter().find(|request| request.request == number))
}

async fn act(session: &Session, request: PeerActRequest) -> Result<(), Failure> {
    let response = session.client.peer_act(&request).await?;
    let until = match response.request {
        Some(number) if !session.json => expiry(session, number).await,
        _ => None,
    };
    session.show(&response, |response, page| render::acted(response, request.act, until, page))
}

/// Until when a request can be approved. The request is made: that its time cannot be shown is no failure of the act.
async fn expiry(session: &Session, number: u64) -> Option<UnixMillis> {
    waiting(session, number).await.ok().flatten().map(|request| request.expires_at)
}

/// The reason as given, or as typed by the person who can be asked.
fn reason(given: Option<String>, person: Option<&mut Person>) -> Result<String, Failure> {
    let why = match (given, person) {
        (Some(why), _) => why,
        (None, Some(person)) => person.line("Why, for those who review the record:")?,
        (None, None) => String::new(),
    };
    if why.trim().is_empty() {
        return Err(Failure::usage("no reason was given, and the record must say why", "add --why TEXT"));
    }
    Ok(why)
}

fn phrase_missing() -> Failure {
    let advice = "add --phrase with the words that the other side's administrator reads out over the telephone";
    Failure::usage("without a terminal the words cannot be asked for", advice)
}
