//! XML models: what reaches outside, and what ordinary ones hold.

use super::{ALARMING, list, report};

const ANOMALIES: &str = "artifact.xml.anomalies";

fn pmml(head: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{head}<PMML xmlns=\"http://www.dmg.org/PMML-4_4\" version=\"4.4\">\n\
         <Header copyright=\"x\"><Application name=\"Lanner\"/><Timestamp>2026-01-01</Timestamp></Header>\n\
         <DataDictionary numberOfFields=\"1\"><DataField name=\"a\" optype=\"continuous\" dataType=\"double\"/></DataDictionary>\n\
         {body}<RegressionModel functionName=\"regression\"><Output/></RegressionModel>\n</PMML>\n"
    )
}

fn network(layer: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\"><layers>\n\
         <layer id=\"0\" name=\"/model/w\" type=\"Const\" version=\"opset1\">{layer}<output><port id=\"0\" precision=\"FP32\" \
         names=\"/model/../w\"><dim>1</dim></port></output></layer></layers>\n\
         <edges><edge from-layer=\"0\" from-port=\"0\" to-layer=\"1\" to-port=\"0\"/></edges>\n\
         <rt_info><conversion_parameters><input_model value=\"/home/user/../x/m.onnx\"/></conversion_parameters></rt_info></net>\n"
    )
}

fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let mark = if mark { "\u{feff}" } else { "" };
    let units: Vec<u16> = mark.encode_utf16().chain(text.encode_utf16()).collect();
    units.into_iter().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

#[test]
fn entities_and_includes_are_told() {
    for (head, body, told) in [
        ("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/hostname\">]>", "<x>&e;</x>", "external_entity"),
        ("<!DOCTYPE x [<!ENTITY % p SYSTEM \"http://127.0.0.1/x.dtd\"> %p;]>", "", "parameter_entity"),
        ("<!DOCTYPE x [<!ENTITY a \"lanner\"><!ENTITY b \"&a;&a;&a;\">]>", "<x>&b;</x>", "expansion"),
        ("<!DOCTYPE PMML SYSTEM \"http://127.0.0.1/x.dtd\">", "", "external_subset"),
        ("<!DOCTYPE PMML PUBLIC \"x\" \"http://www.w3.org/x.dtd\">", "", "doctype"),
        ("<?xml-stylesheet href=\"http://127.0.0.1/x.xsl\"?>", "", "stylesheet"),
        ("", "<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"file:///etc/hostname\"/>", "xinclude"),
        ("", "<Extension xml:base=\"file:///etc/\"/>", "xml_base"),
        ("", "<Extension name=\"x\" value=\"__import__('os').system('echo lanner')\"/>", "extension_code"),
        ("", "<Extension><x>java.lang.Runtime.getRuntime().exec(\"echo\")</x></Extension>", "extension_code"),
        ("", "<script>print(1)</script>", "script"),
        ("", "<Apply function=\"com.acme.Evil\"/>", "function:com.acme.Evil"),
    ] {
        let text = pmml(head, body);
        for bytes in
            [text.clone().into_bytes(), utf16(&text, true, true), utf16(&text, false, true), utf16(&text, false, false)]
        {
            let report = report(&bytes, "model.pmml");
            assert_eq!(report.format, "pmml", "{head}{body}: {:?}", report.facts);
            assert!(list(&report, ANOMALIES).contains(&told.to_owned()), "{told}: {:?}", report.facts);
        }
    }
    let renamed = report(pmml("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///x\">]>", "").as_bytes(), "notes.txt");
    assert!(list(&renamed, ANOMALIES).contains(&"external_entity".to_owned()));
    let encoding = report(b"<?xml version=\"1.0\" encoding=\"UTF-7\"?><PMML/>", "x.pmml");
    assert_eq!(list(&encoding, ANOMALIES), ["encoding:UTF-7"]);
}

#[test]
fn data_of_a_network_lies_beside_it() {
    for (layer, fact, told) in [
        ("<data element_type=\"f32\" offset=\"../../x\" size=\"4\"/>", ANOMALIES, "offset:../../x"),
        ("<data element_type=\"f32\" offset=\"0\" size=\"-4\"/>", ANOMALIES, "size:-4"),
        ("<data path=\"/etc/hostname\" offset=\"0\" size=\"4\"/>", "artifact.container.escapes", "/etc/hostname"),
        ("<data location=\"../../x.bin\" offset=\"0\" size=\"4\"/>", "artifact.container.escapes", "../../x.bin"),
        (
            "<data uri=\"http://127.0.0.1/x\" offset=\"0\" size=\"4\"/>",
            "artifact.container.escapes",
            "http://127.0.0.1/x",
        ),
    ] {
        let report = report(network(layer).as_bytes(), "model.xml");
        assert_eq!(report.format, "openvino");
        assert_eq!(list(&report, fact), [told]);
    }
}

#[test]
fn ordinary_models_and_other_xml_are_silent() {
    let extension = "<Extension name=\"user\" value=\"root\" extender=\"SoftwareAG PMML Generator\"/>\
                     <Apply function=\"isMissing\"/><Apply function=\"+\"/><Extension>PMMLPipeline(steps=[('x', DecisionTree())])</Extension>";
    for (text, name, format) in [
        (pmml("", extension), "m.pmml", "pmml"),
        (network("<data element_type=\"f32\" shape=\"1, 2\" offset=\"0\" size=\"4\"/>"), "m.xml", "openvino"),
        ("<?xml version=\"1.0\"?>\n<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd\">\n<svg/>".to_owned(), "x.svg", "xml"),
        ("<project><dependency>x</dependency></project>".to_owned(), "pom.xml", "xml"),
    ] {
        let report = report(text.as_bytes(), name);
        assert_eq!(report.format, format);
        assert!(ALARMING.iter().all(|path| !report.facts.contains_key(*path)), "{:?}", report.facts);
    }
    let page = report(b"<!DOCTYPE html>\n<html><script>var x = eval('1');</script></html>", "x.html");
    assert_eq!(page.format, "text");
}

#[test]
fn xml_that_is_cut_or_flipped_is_survived_and_told() {
    let text = pmml("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///x\">]>", "<x>&e;</x>").into_bytes();
    for end in 60..text.len() {
        let report = report(text.get(..end).expect("within"), "m.pmml");
        assert!(report.facts.contains_key(ANOMALIES) || !report.issues.is_empty(), "{end}: {:?}", report.facts);
    }
    for at in 0..text.len() {
        for bit in [1, 8, 64] {
            let mut flipped = text.clone();
            flipped[at] ^= bit;
            report(&flipped, "m.pmml");
        }
    }
    let deep = format!("<PMML>{}", "<a>".repeat(1_000_000));
    report(deep.as_bytes(), "m.pmml");
}
