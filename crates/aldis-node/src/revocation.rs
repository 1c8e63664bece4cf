//! Watches over the revocation lists of peers' authorities: reads them when they change, cuts the links whose
//! certificates no longer hold, and raises an alarm while a peer is kept out for want of a list.

use crate::clock::Clock;
use crate::directory::Directory;
use crate::event_loop::{LoopHandle, RequestError};
use crate::link::{LinkContext, Links};
use crate::notes::Notes;
use crate::tls::Crls;
use aldis_core::input::Input;
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use aldis_wire::frame::{Goodbye, GoodbyeCode};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Which files hold revocation lists, and how often they are looked at.
#[derive(Clone, Debug)]
pub struct CrlFiles {
    /// The files, PEM or DER.
    pub paths: Vec<PathBuf>,
    /// How often they are read again, and the links that are up judged by them.
    pub look_every: Duration,
}

impl Default for CrlFiles {
    /// No files, looked at every 30 seconds: a minute is what the documentation promises.
    fn default() -> Self {
        Self { paths: Vec::new(), look_every: Duration::from_secs(30) }
    }
}

/// The watch; clones share it.
#[derive(Clone)]
pub struct Revocation {
    files: Arc<Mutex<Vec<PathBuf>>>,
    look_every: Duration,
    now: Arc<Notify>,
    directory: Directory,
    links: Links,
    notes: Notes,
    node: LoopHandle,
    clock: Clock,
}

impl Revocation {
    pub(crate) fn new(files: CrlFiles, context: &LinkContext) -> Self {
        Self {
            files: Arc::new(Mutex::new(files.paths)),
            look_every: files.look_every,
            now: Arc::new(Notify::new()),
            directory: context.directory.clone(),
            links: context.links.clone(),
            notes: context.notes.clone(),
            node: context.node.clone(),
            clock: context.clock.clone(),
        }
    }

    /// Has these files read at once, in the place of those before, as a reload does.
    pub fn look_at(&self, paths: Vec<PathBuf>) {
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = paths;
        self.now.notify_one();
    }

    /// Looks at the files for as long as the node runs.
    pub(crate) async fn watch(self) {
        let mut alarm = None;
        loop {
            self.read_files().await;
            self.cut_links();
            if self.raise_or_clear(&mut alarm).await.is_err() {
                return;
            }
            // Whether the time is over or somebody asks makes no difference.
            let _over = tokio::time::timeout(self.look_every, self.now.notified()).await;
        }
    }

    /// Puts the lists in force that the files hold now, if they are others.
    async fn read_files(&self) {
        let paths = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let earlier = self.directory.crls();
        let load = {
            let earlier = Arc::clone(&earlier);
            move || Crls::load(&paths, &earlier)
        };
        let Ok(crls) = tokio::task::spawn_blocking(load).await else {
            return tracing::error!("reading the revocation lists failed; those in force stay in force");
        };
        if crls == *earlier {
            return;
        }
        match self.directory.replace_crls(crls) {
            Ok(()) => tracing::info!("new revocation lists are in force"),
            Err(error) => tracing::error!(%error, "the revocation lists cannot be used; those in force stay in force"),
        }
    }

    /// Ends every link whose certificates a new handshake would refuse.
    fn cut_links(&self) {
        let now = self.clock.system_time();
        for (link, peer, presented) in self.links.presented() {
            let Err(error) = self.directory.recheck(&peer, &presented, now) else { continue };
            tracing::warn!(%peer, code = error.code(), "the link is cut: its certificate does not hold any more");
            let at = self.clock.wall();
            let noted = (error.code().to_owned(), format!("{error}; {}", error.advice()), at);
            self.notes.change(&peer, |note| note.last_error = Some(noted));
            let text = Text::cut("the certificate does not hold any more");
            let goodbye = Goodbye { code: GoodbyeCode::NOT_ADMITTED, lane: None, text };
            self.links.with(link, |queue| queue.sever(goodbye));
        }
    }

    /// Keeps one alarm that says what keeps peers out. An error means that the node stops.
    async fn raise_or_clear(&self, lasting: &mut Option<String>) -> Result<(), RequestError> {
        let faults = self.directory.revocation_faults(self.clock.system_time());
        let text = (!faults.is_empty()).then(|| format!("{}; put current lists at `tls.crls`", faults.join("; ")));
        if text == *lasting && text.is_some() {
            return Ok(());
        }
        // A lasting alarm keeps its words, so it ends before it is raised with others. One that the journal kept from an
        // earlier run ends here too.
        self.alarm(None).await?;
        if let Some(text) = &text {
            tracing::warn!(text, "peers of an authority are kept out");
            self.alarm(Some(Text::cut(text))).await?;
        }
        *lasting = text;
        Ok(())
    }

    async fn alarm(&self, text: Option<Text<400>>) -> Result<(), RequestError> {
        let alarm = Input::NodeAlarm { code: Code::known("revocation-unknown"), peer: None, text };
        self.node.input(alarm).await
    }
}

#[cfg(test)]
#[path = "revocation_tests.rs"]
mod tests;
