//! The daemon's events for as long as somebody wants them: it comes back by itself when the daemon does, and goes on
//! where it was.

use std::pin::Pin;
use std::time::Duration;

use aldis_control::{Client, ClientError, EventsQuery, StreamedEvent};
use futures_util::{Stream, StreamExt};

/// How long to wait before the first attempt to come back; doubled each time it fails.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The longest wait between two attempts.
const LONGEST_DELAY: Duration = Duration::from_secs(5);

type Events = Pin<Box<dyn Stream<Item = Result<StreamedEvent, ClientError>> + Send>>;

/// Somebody who follows the events.
pub(super) struct Following {
    client: Client,
    query: EventsQuery,
    /// Absent while the daemon is away.
    events: Option<Events>,
    delay: Duration,
}

/// What came.
pub(super) enum Came {
    /// Something happened.
    Event(Box<StreamedEvent>),
    /// The daemon went away, and why; it is tried again.
    Lost(String),
    /// It is back.
    Back,
}

impl Following {
    /// From now on, or from the event of this id. A daemon that is not there in the beginning is an error, later it is
    /// not.
    pub(super) async fn begin(client: Client, since: Option<String>) -> Result<Self, ClientError> {
        let query = EventsQuery { since };
        let events: Events = Box::pin(client.events(&query).await?);
        Ok(Self { client, query, events: Some(events), delay: FIRST_DELAY })
    }

    /// What comes next. An error is the end: the daemon is there, and what it says will not change by waiting.
    pub(super) async fn next(&mut self) -> Result<Came, ClientError> {
        let Some(events) = &mut self.events else { return self.come_back().await };
        let lost = match events.next().await {
            Some(Ok(event)) => {
                self.delay = FIRST_DELAY;
                if !event.id.is_empty() {
                    self.query.since = Some(event.id.clone());
                }
                return Ok(Came::Event(Box::new(event)));
            }
            Some(Err(error)) => error.to_string(),
            None => "the daemon closed the stream".to_owned(),
        };
        self.events = None;
        Ok(Came::Lost(lost))
    }

    async fn come_back(&mut self) -> Result<Came, ClientError> {
        loop {
            tokio::time::sleep(self.delay).await;
            self.delay = (self.delay * 2).min(LONGEST_DELAY);
            match self.client.events(&self.query).await {
                Ok(events) => {
                    self.events = Some(Box::pin(events));
                    return Ok(Came::Back);
                }
                Err(ClientError::Unreachable { .. } | ClientError::Broken { .. }) => {}
                // The daemon is there and may be starting; anything else, such as a role that was taken away, stays.
                Err(ClientError::Api(error)) if error.http_status() == 503 => {}
                Err(error) => return Err(error),
            }
        }
    }
}
