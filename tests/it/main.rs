//! All tests of the project in one binary: what is under test is the library and the program.

mod formats;
