use lanner::artifact::*;
fn main() {
    let limits = Limits::default();
    for name in std::io::stdin().lines().map_while(Result::ok) {
        let Ok(bytes) = FileBytes::open(std::path::Path::new(&name)) else { continue };
        let start = std::time::Instant::now();
        let report = inspect(&bytes, &name, &limits);
        let ms = start.elapsed().as_millis();
        let facts = lanner::event::value::to_json(&report.facts);
        println!("{}", serde_json::json!({"path": name, "format": report.format, "facts": facts, "issues": report.issues, "ms": ms as u64}));
    }
}
