//! References, queries and patterns: what is read is written as it was read, and what one reader takes another does too.

use secateur::image::{Entry, Pattern, Query, Reference, Selector};

/// Reads the input as everything that a person may write.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string(), text);
    }
    if let Ok(reference) = Reference::normalize(text) {
        let canonical = reference.to_string();
        assert_eq!(Reference::canonical(&canonical).as_ref(), Some(&reference));
        assert_eq!(Reference::normalize(&canonical).as_ref(), Ok(&reference));
        assert_eq!(Reference::canonical(text).is_some(), canonical == text);
        assert!(!Pattern::is_pattern(text), "a reference is no pattern");
        assert!(Reference::normalize(&reference.familiar().to_string()).is_ok());
        let literal: Pattern = canonical.parse().expect("a reference can be written as a pattern");
        assert!(literal.matches(&reference), "a pattern without wildcards means itself");
        let everything: Pattern = "**".parse().expect("it is a pattern");
        assert!(everything.matches(&reference));
    }
    if let Ok(query) = text.parse::<Query>() {
        let again = query.to_string().parse::<Query>().expect("what is written can be read");
        assert_eq!(std::mem::discriminant(&again), std::mem::discriminant(&query));
    }
    if let Ok(pattern) = text.parse::<Pattern>() {
        assert_eq!(pattern.to_string(), text);
        for reference in ["docker.io/library/app:v1", "ghcr.io/acme/team/api", "[::1]:5000/a/b:1"] {
            pattern.matches(&reference.parse().expect("a reference"));
        }
    }
    if let Ok(entry) = text.parse::<Entry>() {
        assert_eq!(entry.text, text);
        assert_eq!(matches!(entry.selector, Selector::Pattern(_)), Pattern::is_pattern(text));
    }
}
