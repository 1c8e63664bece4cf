//! Both sides' terms beside each other. Nothing of it is stored: it follows from the terms.

use aldis_wire::codes::Code;
use aldis_wire::kinds::Terms;
use aldis_wire::lane::Lane;

/// One field of the terms of both sides, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which field.
    pub field: String,
    /// What our terms say; `None` if we have none.
    pub ours: Option<String>,
    /// What the peer's terms say; `None` if it has none.
    pub theirs: Option<String>,
    /// What holds: the stricter of the two; `None` if neither says anything.
    pub in_force: Option<String>,
}

impl Difference {
    /// Whether the two sides say different things.
    pub fn differs(&self) -> bool {
        self.ours != self.theirs
    }
}

/// Every field of the terms of both sides, with what holds.
pub fn difference(ours: Option<&Terms>, theirs: Option<&Terms>) -> Vec<Difference> {
    let sides = [ours, theirs];
    let mut rows = vec![
        row("kinds", sides, kinds_of, |kinds| in_words(kinds.as_deref()), common),
        row("highest-tlp", sides, |terms| terms.highest_tlp, ToString::to_string, std::cmp::max),
        row("flash-per-day", sides, |terms| terms.flash_per_day, ToString::to_string, std::cmp::min),
        row("messages-per-hour", sides, |terms| terms.messages_per_hour, ToString::to_string, std::cmp::min),
        row("bytes-per-hour", sides, |terms| terms.bytes_per_hour, ToString::to_string, std::cmp::min),
    ];
    for lane in Lane::ALL {
        let field = format!("acknowledge-within {}", lane.name());
        let seconds = |within: &Option<u32>| within.map_or_else(|| "the default".to_owned(), |s| format!("{s} s"));
        let sooner = |a: Option<u32>, b: Option<u32>| a.into_iter().chain(b).min();
        rows.push(row(&field, sides, |terms| terms.acknowledge_within_s(lane), seconds, sooner));
    }
    rows.push(row("expires", sides, |terms| terms.expires_at, ToString::to_string, std::cmp::min));
    rows
}

fn row<T: Clone>(
    field: &str,
    sides: [Option<&Terms>; 2],
    value: impl Fn(&Terms) -> T,
    words: impl Fn(&T) -> String,
    stricter: impl Fn(T, T) -> T,
) -> Difference {
    let [ours, theirs] = sides.map(|terms| terms.map(&value));
    let in_force = match (ours.clone(), theirs.clone()) {
        (Some(ours), Some(theirs)) => Some(stricter(ours, theirs)),
        (one, other) => one.or(other),
    };
    let [ours, theirs, in_force] = [ours, theirs, in_force].map(|value| value.as_ref().map(&words));
    Difference { field: field.to_owned(), ours, theirs, in_force }
}

/// The kinds that may be sent, or `None` for every kind.
fn kinds_of(terms: &Terms) -> Option<Vec<Code>> {
    (!terms.kinds.is_empty()).then(|| terms.kinds.to_vec())
}

/// What both allow; it may be nothing at all.
fn common(ours: Option<Vec<Code>>, theirs: Option<Vec<Code>>) -> Option<Vec<Code>> {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => Some(ours.into_iter().filter(|kind| theirs.contains(kind)).collect()),
        (one, other) => one.or(other),
    }
}

fn in_words(kinds: Option<&[Code]>) -> String {
    match kinds {
        None => "every kind".to_owned(),
        Some([]) => "no kind".to_owned(),
        Some(kinds) => kinds.iter().map(Code::as_str).collect::<Vec<_>>().join(", "),
    }
}
