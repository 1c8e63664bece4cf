//! Writes `tests/vectors/` anew: `cargo run -p aldis-tests --bin make_vectors`. The same program always writes the same
//! files; a test compares them with what is checked in.

use aldis_tests::vectors::{all, directory};
use std::fs;

fn main() -> std::io::Result<()> {
    let directory = directory();
    for entry in fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            fs::remove_file(path)?;
        }
    }
    let cases = all();
    for case in &cases {
        fs::write(directory.join(case.file_name()), case.to_string())?;
    }
    println!("{} vectors in {}", cases.len(), directory.display());
    Ok(())
}
