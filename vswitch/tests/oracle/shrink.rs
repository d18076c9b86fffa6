//! The shortest story that still goes wrong.

use crate::drive;
use crate::story::Story;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Tells a story; a panic is what goes wrong, too.
pub(crate) fn try_to_tell(story: &Story) -> Result<drive::Told, String> {
    let told = catch_unwind(AssertUnwindSafe(|| drive::tell(story)));
    told.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

/// Leaves out whatever `is_wrong` does not need, larger pieces first, until no line can go.
pub(crate) fn shrink(story: &Story, is_wrong: impl Fn(&Story) -> bool) -> Story {
    let mut story = story.clone();
    let mut piece = story.events.len().div_ceil(2);
    while piece > 0 {
        let before = story.events.len();
        let mut at = 0;
        while at < story.events.len() {
            let mut shorter = story.clone();
            shorter
                .events
                .drain(at..(at + piece).min(story.events.len()));
            if is_wrong(&shorter) {
                story = shorter;
            } else {
                at += piece;
            }
        }
        if piece > 1 {
            piece /= 2;
        } else if story.events.len() == before {
            break;
        }
    }
    story
}
