//! Letters that look like others: a word is the same to who reads it, and another one to a model.

/// Cyrillic and Greek letters, and the Latin ones that they look like, each at its place.
const LETTERS: [(&str, &str); 2] = [
    ("АВЕЗКМНОРСТУХІЈЅԌԚԜаеорсухіјѕһԁԛԝѵӏ", "ABE3KMHOPCTYXIJSGQWaeopcyxijshdqwvl"),
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανικρυ", "ABEZHIKMNOPTYXoavikpu"),
];

/// The text with Latin letters for those that look like them, where a word has both; `None` where none has. A word of
/// one alphabet is a word of a language.
pub fn folded(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let mut changed = false;
    let words: Vec<String> = text
        .split(' ')
        .map(|word| {
            let latin: String = word.chars().map(|c| latin(c).unwrap_or(c)).collect();
            let mixed = word.chars().any(|c| c.is_ascii_alphabetic());
            if !mixed || latin == word {
                return word.to_owned();
            }
            changed = true;
            latin
        })
        .collect();
    changed.then(|| words.join(" "))
}

fn latin(c: char) -> Option<char> {
    LETTERS.iter().find_map(|(from, to)| {
        let at = from.chars().position(|letter| letter == c)?;
        to.chars().nth(at)
    })
}
