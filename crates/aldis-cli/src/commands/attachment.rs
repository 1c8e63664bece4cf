//! `aldis attachment`: what a file of a message is, and saving it. It is never opened, run or rendered, and never written
//! under a name that its sender chose.

use std::path::Path;

use aldis_control::{AttachmentQuery, AttachmentView, MessageQuery, UploadedAttachment};
use futures_util::TryStreamExt;
use sha2::{Digest as _, Sha256};

use super::output::Output;
use super::{Session, attach};
use crate::args::AttachmentArgs;
use crate::failure::Failure;
use crate::{render, screen};

pub(crate) async fn run(session: &Session, args: AttachmentArgs) -> Result<(), Failure> {
    if let Some(path) = &args.upload {
        let uploaded = attach::hand_in_one(session, path).await?;
        return session.show(&uploaded, render::uploaded);
    }
    let (id, number) = args.id.zip(args.number).expect("the command line requires them unless it uploads");
    let Some(path) = args.save else {
        let file = described(session, &id, number).await?;
        return session.show(&file, |file, page| render::attachment(&id, file, page));
    };
    let path = (path.as_os_str() != "-").then_some(path);
    let no_terminal = ("a file from elsewhere does not go to a terminal", "name a file, or pipe it into a program");
    let mut output = Output::to(path.as_deref(), Some(no_terminal))?;
    match save(session, AttachmentQuery { id, number }, &mut output).await {
        Ok(saved) => {
            output.keep()?;
            path.map_or(Ok(()), |path| told(session, &saved, &path))
        }
        Err(failure) => {
            output.discard();
            Err(failure)
        }
    }
}

async fn described(session: &Session, id: &str, number: u32) -> Result<AttachmentView, Failure> {
    let view = session.client.message(&MessageQuery { id: id.to_owned() }).await?;
    view.row.attachments.into_iter().find(|file| file.number == number).ok_or_else(|| Failure::NotThere {
        what: format!("{} has no file {number}", screen::cell(id)),
        advice: "`aldis show ID` lists the files of a message",
    })
}

/// Writes the bytes as they come, and holds them against the digest that the message's sender signed.
async fn save(session: &Session, query: AttachmentQuery, output: &mut Output) -> Result<UploadedAttachment, Failure> {
    let mut coming = session.client.attachment(&query).await?;
    let bar = attach::bar(session, coming.size);
    let (mut hash, mut size) = (Sha256::new(), 0);
    while let Some(piece) = coming.pieces.try_next().await? {
        hash.update(&piece);
        output.write(&piece)?;
        size += piece.len() as u64;
        bar.set_position(size);
    }
    bar.finish_and_clear();
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if digest != coming.digest {
        return Err(Failure::OtherBytes { found: digest, named: coming.digest });
    }
    Ok(UploadedAttachment { digest, size })
}

fn told(session: &Session, saved: &UploadedAttachment, path: &Path) -> Result<(), Failure> {
    session.show(saved, |saved, page| render::saved(saved, path, page))
}
