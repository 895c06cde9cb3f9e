//! Real servers that tests talk to: started here, on free ports of 127.0.0.1, and stopped by pid.

pub mod mlflow;
