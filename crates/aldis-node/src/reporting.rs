//! The daemon's own reports on standard error, as text or JSON, with a filter that can change while it runs. Nothing here
//! chooses what is reported; no module ever reports a body or a key.

use crate::config::{Filter, LogFormat, LoggingConfig};
use std::io::{self, IsTerminal};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// The reports of this process.
pub struct Reporting {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Reports cannot begin or change. The process is to blame: it began twice, or is ending.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the daemon's reports: {0}")]
pub struct ReportingError(String);

impl Reporting {
    /// Begins reporting; once per process.
    pub fn begin(config: &LoggingConfig) -> Result<Self, ReportingError> {
        let (filter, handle) = reload::Layer::new(parsed(&config.filter)?);
        let layer = fmt::layer().with_writer(io::stderr);
        let layer = match config.format {
            LogFormat::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
            LogFormat::Json => layer.json().flatten_event(true).boxed(),
        };
        let subscriber = Registry::default().with(filter).with(layer);
        subscriber.try_init().map_err(|error| ReportingError(error.to_string()))?;
        Ok(Self { filter: handle })
    }

    /// Reports by another filter from now on.
    pub fn change_filter(&self, filter: &Filter) -> Result<(), ReportingError> {
        self.filter.reload(parsed(filter)?).map_err(|error| ReportingError(error.to_string()))
    }
}

fn parsed(filter: &Filter) -> Result<EnvFilter, ReportingError> {
    EnvFilter::builder().parse(filter.as_str()).map_err(|error| ReportingError(error.to_string()))
}
