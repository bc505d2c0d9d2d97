//! The plain form: what a client without this library sends.

use serde_json::Value;

use super::{UPLOAD_BYTES_MAX, WireError};
use crate::domain::code::Code;
use crate::domain::day::Day;
use crate::domain::plain::PlainReading;

/// Reads `[{"formattedDate":"2022-10-04","steps":8500}, ...]`. Each item stands for itself: one that does not
/// fit gets its code and holds up no other.
///
/// ```
/// use manbo::Code;
/// let body = br#"[{"formattedDate":"2022-10-04","steps":8500},{"formattedDate":"10/05","steps":-1}]"#;
/// let items = manbo::wire::read_plain(body)?;
/// assert_eq!(items[0].map(|item| item.steps), Ok(8_500));
/// assert_eq!(items[1], Err(Code::BadValue));
/// # Ok::<(), manbo::wire::WireError>(())
/// ```
///
/// # Errors
/// A [`WireError`] where the body is too large or no array.
pub fn read_plain(body: &[u8]) -> Result<Vec<Result<PlainReading, Code>>, WireError> {
    if body.len() > UPLOAD_BYTES_MAX {
        return Err(WireError::TooLarge);
    }
    let items: Vec<Value> = serde_json::from_slice(body)
        .map_err(|error| WireError::Malformed { line: error.line(), column: error.column() })?;
    Ok(items.iter().map(|item| read_item(item).ok_or(Code::BadValue)).collect())
}

fn read_item(item: &Value) -> Option<PlainReading> {
    let day: Day = item.get("formattedDate")?.as_str()?.parse().ok()?;
    let steps = item.get("steps")?.as_u64().and_then(|steps| u32::try_from(steps).ok())?;
    Some(PlainReading { day, steps })
}
