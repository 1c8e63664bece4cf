//! Puts a notice together from a notice file and the options of `aldis send`. What an option says goes before what the
//! file says; what nobody says is left to the daemon, except the TLP marking, which nobody may leave out (I13).

use aldis_control::{Asset, Indicator, Precedence, Reference, SendRequest, Tlp, UnixMillis, Wait};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::args::SendArgs;
use crate::failure::Failure;
use crate::render::Page;
use crate::screen;
use crate::when::Bare;

/// The kind of a notice when nobody says.
const DEFAULT_KIND: &str = "incident";

/// Reads a complete notice: JSON when it begins like JSON, else TOML.
pub(crate) fn parse_notice(text: &str, place: &str) -> Result<Map<String, Value>, Failure> {
    let wrong = |error: String| {
        Failure::usage(format!("{place} is not a notice: {error}"), "see docs for the fields of a complete notice")
    };
    let value = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?
    } else {
        let table: toml::Table = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        toml_to_json(toml::Value::Table(table)).map_err(wrong)?
    };
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(wrong("it has no fields".into())),
    }
}

/// The request to send, from the notice file's fields (or none), the options, and the text if there is one.
pub(crate) fn request(
    mut notice: Map<String, Value>,
    args: SendArgs,
    text: Option<String>,
    page: Page,
) -> Result<SendRequest, Failure> {
    let mut body = match notice.remove("body") {
        None => Map::new(),
        Some(Value::Object(body)) => body,
        Some(_) => {
            return Err(Failure::usage("the notice's body has no fields", "write it as an object"));
        }
    };
    overlay_envelope(&mut notice, &args)?;
    overlay_body(&mut body, args, text, page)?;
    let is_incident = notice["kind"] == DEFAULT_KIND;
    if is_incident {
        complete_incident(&mut body)?;
    }
    notice.insert("body".into(), body.into());
    serde_json::from_value(notice.into()).map_err(|error| {
        Failure::usage(format!("the notice is not complete or not right: {error}"), "see aldis send --help")
    })
}

fn overlay_envelope(notice: &mut Map<String, Value>, args: &SendArgs) -> Result<(), Failure> {
    if !args.to.is_empty() {
        notice.insert("to".into(), json!(args.to));
    }
    notice.entry("kind").or_insert(DEFAULT_KIND.into());
    set(notice, "kind", args.kind.as_deref());
    set(notice, "precedence", args.precedence);
    set(notice, "tlp", args.tlp);
    set(notice, "desk", args.desk.as_deref());
    set(notice, "case", args.case.as_deref());
    set(notice, "author", args.author.as_deref());
    set(notice, "on_behalf_of", args.on_behalf_of.as_deref());
    set(notice, "exercise", args.exercise.as_deref());
    set(notice, "expires_in_s", args.expires_in.map(|duration| duration.as_secs()));
    set(notice, "acknowledge_within_s", args.acknowledge_within.map(|duration| duration.as_secs()));
    set(notice, "long", args.long.as_deref());
    set(notice, "wait", args.wait.then_some(Wait::Stored));
    set(notice, "wait_ms", args.wait_limit.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)));
    let supersedes = args.supersedes.iter().map(|id| ("supersedes", id));
    let relates = args.relates.iter().map(|id| ("relates", id));
    let references = supersedes.chain(relates).map(|(role, id)| Reference { role: role.into(), id: id.clone() });
    extend(notice, "references", references)?;
    require_envelope(notice)
}

/// What nobody but a person may decide, each with the values to choose from.
fn require_envelope(notice: &Map<String, Value>) -> Result<(), Failure> {
    if notice.get("to").is_none_or(|to| to.as_array().is_none_or(Vec::is_empty)) {
        return Err(Failure::usage("no recipient was given", "add --to PEER; see `aldis peer list`"));
    }
    if !notice.contains_key("tlp") {
        let choice = Tlp::ALL.map(Tlp::as_str).join("|");
        let what = "no TLP marking was given, and none is ever assumed";
        return Err(Failure::usage(what, format!("add --tlp {choice}")));
    }
    if !notice.contains_key("precedence") {
        let choice = Precedence::ALL.map(Precedence::as_str).join("|");
        return Err(Failure::usage("no precedence was given", format!("add --precedence {choice}")));
    }
    Ok(())
}

fn overlay_body(
    body: &mut Map<String, Value>,
    args: SendArgs,
    text: Option<String>,
    page: Page,
) -> Result<(), Failure> {
    let moment = |text: Option<String>, bare| super::moment(text, page, bare);
    set(body, "subject", args.subject);
    set(body, "narrative", text);
    set(body, "language", args.language);
    set(body, "class", args.class);
    set(body, "type", args.type_);
    set(body, "severity", args.severity);
    set(body, "stage", args.stage);
    set(body, "suspected_malicious", args.suspected_malicious);
    set(body, "cross_border", args.cross_border);
    set::<UnixMillis>(body, "detected_at", moment(args.detected_at, Bare::Ago)?);
    set(body, "started_at", moment(args.started_at, Bare::Ago)?);
    set(body, "ended_at", moment(args.ended_at, Bare::Ago)?);
    set(body, "aware_at", moment(args.aware_at, Bare::Ago)?);
    set(body, "expected_action", args.action);
    set(body, "reply_by", moment(args.reply_by, Bare::Ahead)?);
    set(body, "source_reliability", args.source);
    set(body, "information_credibility", args.credibility);
    set(body, "likelihood", args.likelihood);
    set(body, "intent", args.intent);
    let attribution = args.attribution.zip(args.confidence);
    set(body, "attribution", attribution.map(|(text, confidence)| json!({ "text": text, "confidence": confidence })));
    extend(body, "sectors", args.sector.into_iter())?;
    let assets = args.asset.into_iter();
    let assets =
        assets.map(|asset| Asset { name: asset.name, kind: asset.kind, sector: asset.sector, comment: asset.comment });
    extend(body, "assets", assets)?;
    let indicators = args.indicator.into_iter();
    let indicators = indicators.map(|indicator| Indicator {
        kind: indicator.kind,
        value: indicator.value,
        comment: indicator.comment,
    });
    extend(body, "indicators", indicators)
}

/// Fills in the class of an incident that nobody has classified, and refuses one that says nothing.
fn complete_incident(body: &mut Map<String, Value>) -> Result<(), Failure> {
    if !body.contains_key("class") {
        body.insert("class".into(), "other".into());
        body.entry("type").or_insert("undetermined".into());
    }
    for (field, advice) in [("subject", "add --subject S"), ("narrative", "add --body FILE, --edit, or pipe it in")] {
        if body.get(field).and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()) {
            return Err(Failure::usage(format!("the notice has no {field}"), advice));
        }
    }
    let parsed: Result<aldis_control::IncidentBody, _> = serde_json::from_value(body.clone().into());
    match parsed {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::usage(format!("the notice's body is not right: {error}"), "see aldis send --help")),
    }
}

/// Sets a field if there is something to set.
fn set<T: Serialize>(fields: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        let value = serde_json::to_value(value).expect("options are strings, numbers and small structures");
        fields.insert(name.into(), value);
    }
}

/// Adds items to a list that the notice file may have begun.
fn extend<T: Serialize>(
    fields: &mut Map<String, Value>,
    name: &str,
    items: impl Iterator<Item = T>,
) -> Result<(), Failure> {
    let items =
        items.map(|item| serde_json::to_value(item).expect("options are strings, numbers and small structures"));
    let items: Vec<Value> = items.collect();
    if items.is_empty() {
        return Ok(());
    }
    match fields.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(list) => {
            list.extend(items);
            Ok(())
        }
        _ => Err(Failure::usage(format!("`{name}` of the notice is not a list"), "write it in square brackets")),
    }
}

/// TOML as JSON. Times must say their zone; the forms of TOML that do not are refused.
fn toml_to_json(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(moment) if moment.offset.is_some() => moment.to_string().into(),
        toml::Value::Datetime(moment) => {
            return Err(format!(
                "the time {} has no zone: write it with a Z at the end",
                screen::cell(&moment.to_string())
            ));
        }
        toml::Value::Array(items) => items.into_iter().map(toml_to_json).collect::<Result<Vec<_>, _>>()?.into(),
        toml::Value::Table(fields) => {
            let fields = fields.into_iter().map(|(name, inner)| toml_to_json(inner).map(|inner| (name, inner)));
            Value::Object(fields.collect::<Result<_, _>>()?)
        }
    })
}

#[cfg(test)]
mod tests;
