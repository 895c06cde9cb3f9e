//! Rules about processes, files and registries, written as YAML.
//!
//! What they ask is spread as in 136 public rules about process creation. Counted per hundred of those
//! rules: 121 lists of texts inside the command line (11 texts each, in half of the rules up to six),
//! 101 of ends of the image, 73 of original names, 32 lists of which all must be there, 15 with dashes
//! of any kind; in an everyday event 3.4, 3.0, 1.2, 0 and 0.7 of them hold. Here it is about as many.

use super::Dice;
use super::words::{APPS, FLAGS, FOLDERS, SHORT, TOOLS, coin, hex};

/// So many rules, of which a good third is about process creation on Windows.
pub fn all(count: usize) -> Vec<String> {
    let mut dice = Dice::new(0x5eed);
    (0..count).map(|number| one(number, &mut dice)).collect()
}

/// The logsources beside process creation, each with the field that its rules ask most about.
const OTHERS: [(&str, &str, &str); 8] = [
    ("registry_set", "windows", "TargetObject"),
    ("file_event", "windows", "TargetFilename"),
    ("image_load", "windows", "ImageLoaded"),
    ("dns_query", "windows", "QueryName"),
    ("network_connection", "windows", "DestinationHostname"),
    ("ps_script", "windows", "ScriptBlockText"),
    ("process_creation", "linux", "CommandLine"),
    ("webserver", "any", "cs-uri-query"),
];

fn one(number: usize, dice: &mut Dice) -> String {
    let process = dice.percent(38);
    let (category, product, detection) = if process {
        ("process_creation", "windows", process_detection(dice))
    } else {
        let (category, product, field) = OTHERS[dice.below(OTHERS.len())];
        (category, product, other_detection(field, dice))
    };
    let id = format!("{:08x}-0000-4000-8000-{:012x}", number + 1, number + 1);
    format!(
        "title: Rule {number}\nid: {id}\nstatus: test\ndescription: Generated.\nauthor: nobody\ndate: 2026-01-01\n\
         tags:\n    - attack.execution\n    - attack.t1059\nlogsource:\n    category: {category}\n    product: {product}\n\
         detection:\n{detection}falsepositives:\n    - Unknown\nlevel: high\n"
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn list(key: &str, values: &[String]) -> String {
    if let [only] = values {
        return format!("        {key}: {}\n", quoted(only));
    }
    let lines: Vec<String> = values.iter().map(|value| format!("            - {}\n", quoted(value))).collect();
    format!("        {key}:\n{}", lines.concat())
}

fn image(dice: &mut Dice) -> String {
    match dice.below(100) {
        0..74 => format!("\\{}", dice.prefer(&TOOLS)),
        74..84 => format!("\\{}", dice.pick(&APPS)),
        _ => format!("\\{}.exe", coin(dice)),
    }
}

fn images(dice: &mut Dice, most: usize) -> Vec<String> {
    (0..dice.between(1, most)).map(|_| image(dice)).collect()
}

fn part(dice: &mut Dice) -> String {
    match dice.below(20) {
        0..11 => dice.pick(&FLAGS).to_owned(),
        11 if dice.percent(8) => dice.pick(&SHORT).to_owned(),
        11..13 => dice.pick(&FOLDERS).to_owned(),
        13..16 => format!(" -{}", coin(dice)),
        16..18 => format!("{}.{}", coin(dice), coin(dice)),
        _ => coin(dice),
    }
}

fn parts(dice: &mut Dice, least: usize, most: usize) -> Vec<String> {
    (0..dice.between(least, most)).map(|_| part(dice)).collect()
}

/// A tool by its path or by the name that it was built with.
fn tool(dice: &mut Dice) -> String {
    let mut names = vec![image(dice)];
    if dice.percent(25) {
        names.extend(images(dice, 4));
    }
    let originals: Vec<String> = names.iter().map(|name| name.trim_start_matches('\\').to_owned()).collect();
    format!(
        "    selection_img:\n        - {}        - {}",
        list("Image|endswith", &names).trim_start(),
        list("OriginalFileName", &originals).trim_start()
    )
}

fn selection(name: &str, key: &str, values: &[String]) -> String {
    format!("    {name}:\n{}", list(key, values))
}

fn process_detection(dice: &mut Dice) -> String {
    let mut text = String::new();
    let condition = match dice.below(100) {
        0..32 => {
            text += &tool(dice);
            let most = if dice.percent(20) { 70 } else { 8 };
            text += &selection("selection_cli", "CommandLine|contains", &parts(dice, 1, most));
            if dice.percent(80) {
                text += &selection("selection_flag", "CommandLine|contains", &parts(dice, 1, 12));
            }
            "all of selection_*"
        }
        32..50 => {
            text += &tool(dice);
            text += &selection("selection_cli", "CommandLine|contains|all", &parts(dice, 2, 3));
            if dice.percent(45) {
                text += &selection("selection_more", "CommandLine|contains|all", &parts(dice, 2, 3));
            }
            if dice.percent(80) {
                text += &selection("selection_flag", "CommandLine|contains", &parts(dice, 1, 12));
            }
            "all of selection_*"
        }
        50..55 => {
            text += &selection("selection", "CommandLine|contains|all", &parts(dice, 2, 4));
            if dice.percent(60) {
                text += &list("Image|endswith", &images(dice, 4));
            }
            "selection"
        }
        55..60 => {
            let tokens: Vec<String> =
                (0..dice.between(4, 70)).map(|_| format!("{}{}", coin(dice), coin(dice))).collect();
            text += &selection("selection", "CommandLine|contains", &tokens);
            "selection"
        }
        60..65 => {
            text += &selection("selection", "ParentImage|endswith", &images(dice, 5));
            text += &list("Image|endswith", &images(dice, 8));
            text += &selection("filter_main_folder", "CommandLine|contains", &parts(dice, 1, 2));
            text += &selection("filter_optional_name", "ParentCommandLine|contains", &parts(dice, 1, 2));
            "selection and not 1 of filter_*"
        }
        65..70 => {
            let folders: Vec<String> =
                (0..dice.between(1, 3)).map(|_| format!("{}{}", dice.pick(&FOLDERS), coin(dice))).collect();
            text += &selection("selection", "Image|contains", &folders);
            if dice.percent(50) {
                let known = ["C:\\Windows\\WinSxS\\".to_owned(), "C:\\Windows\\SoftwareDistribution\\".to_owned()];
                text += &selection("filter_main_folder", "Image|startswith", &known);
                "selection and not filter_main_folder"
            } else {
                "selection"
            }
        }
        70..73 => {
            let hashes: Vec<String> = (0..dice.between(2, 11)).map(|_| format!("IMPHASH={}", hex(dice, 32))).collect();
            text += &selection("selection", "Hashes|contains", &hashes);
            "selection"
        }
        73..78 => {
            text += &tool(dice);
            let expression = format!("(?i)\\s-{}\\s+[a-z0-9+/=]{{20,}}\\s.*{}", &coin(dice), coin(dice));
            text += &selection("selection_re", "CommandLine|re", &[expression]);
            text += &selection("selection_cli", "CommandLine|contains", &parts(dice, 1, 3));
            "all of selection_*"
        }
        78..91 => {
            text += &tool(dice);
            let flags: Vec<String> = (0..dice.between(1, 2)).map(|_| dashed(dice)).collect();
            text += &selection("selection_cli", "CommandLine|contains|windash", &flags);
            text += &selection("selection_text", "CommandLine|contains", &parts(dice, 1, 12));
            "all of selection_*"
        }
        91..98 => {
            for name in ["selection_one", "selection_other"] {
                text += &selection(name, "Image|endswith", &images(dice, 3));
                text += &list("CommandLine|contains", &parts(dice, 1, 12));
            }
            let endings: Vec<String> = (0..dice.between(4, 32)).map(|_| format!(".{}", coin(dice))).collect();
            text += &selection("filter_main_ext", "CommandLine|endswith", &endings);
            "1 of selection_* and not filter_main_ext"
        }
        _ => {
            text += &selection("selection", "IntegrityLevel", &["System".to_owned(), "S-1-16-16384".to_owned()]);
            text += &list("User|contains", &["AUTHORI".to_owned(), "AUTORI".to_owned()]);
            text += &list("Image|endswith", &images(dice, 12));
            "selection"
        }
    };
    text + &format!("    condition: {condition}\n")
}

/// A flag for `windash`; now and then one of those that are everywhere.
fn dashed(dice: &mut Dice) -> String {
    let flag = if dice.percent(12) { dice.pick(&SHORT) } else { dice.pick(&FLAGS) };
    // Only the dash before a word is one of a flag: a protocol's slashes stay what they are.
    if flag.contains("//") { flag.to_owned() } else { flag.replace('/', "-").trim_end().to_owned() }
}

fn other_detection(field: &str, dice: &mut Dice) -> String {
    let mut text = String::from("    selection:\n");
    let modifier = ["contains", "contains|all", "endswith", "startswith"][dice.below(4)];
    let values: Vec<String> =
        (0..dice.between(1, 8)).map(|_| format!("{}{}", dice.pick(&FOLDERS), coin(dice))).collect();
    text += &list(&format!("{field}|{modifier}"), &values);
    if dice.percent(40) {
        text += &list("Image|endswith", &images(dice, 4));
    }
    if dice.percent(30) {
        text += "    filter_main_system:\n";
        text += &list("Image|startswith", &[dice.pick(&FOLDERS).to_owned()]);
        return text + "    condition: selection and not 1 of filter_main_*\n";
    }
    text + "    condition: selection\n"
}
