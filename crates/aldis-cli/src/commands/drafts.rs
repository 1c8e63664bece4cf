//! `aldis release`: the second person sees the whole draft, and then it is signed and sent, or thrown away.

use aldis_control::{DraftName, DraftQuery};

use super::Session;
use crate::args::ReleaseArgs;
use crate::ask::Person;
use crate::failure::Failure;
use crate::render;

pub(crate) async fn release(session: &Session, args: &ReleaseArgs) -> Result<(), Failure> {
    let client = &session.client;
    let name = DraftName { draft: args.draft };
    if args.discard {
        let left = client.draft_discard(&name).await?;
        return session.show(&left, |rows, page| render::drafts(rows, page));
    }
    if !args.yes {
        let what = "without a terminal nobody can be asked whether to release";
        let mut person = Person::here().ok_or_else(|| Failure::usage(what, "look at it first, then add --yes"))?;
        let draft = client.draft(&DraftQuery { draft: args.draft }).await?;
        person.tell(&render::draft(&draft, session.aside))?;
        person.confirm(&format!("Release draft {}?", args.draft))?;
    }
    session.show(&client.draft_release(&name).await?, render::sent)
}
