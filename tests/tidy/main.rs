//! What must stay true of the repository itself: who may depend on whom, which module may call what, that the
//! documentation names only what exists and all that exists. Each rule is tried on the repository, and on a planted one
//! that breaks it, so that no rule can quietly stop looking.

mod crates;
mod documents;
mod planted;
mod source;
mod sources;
mod tree;

use tree::Tree;

type Rule = fn(&Tree) -> Vec<String>;

/// Asserts that the repository keeps a rule.
fn holds(rule: Rule) {
    let complaints = rule(Tree::repository());
    assert!(complaints.is_empty(), "{} complaints:\n{}\n", complaints.len(), complaints.join("\n"));
}

#[test]
fn packages_depend_only_along_the_edges_of_the_design() {
    holds(crates::edges);
}

#[test]
fn unmaintained_libraries_are_pinned() {
    holds(crates::pins);
}

#[test]
fn nothing_else_stands_at_the_top() {
    holds(crates::top);
}

#[test]
fn each_dangerous_library_has_one_module_that_calls_it() {
    holds(sources::guarded_libraries);
}

#[test]
fn i11_the_core_and_the_wire_know_no_clock_disk_network_or_chance() {
    holds(sources::absent_names);
}

#[test]
fn only_the_journal_touches_segment_files() {
    holds(sources::segment_files);
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    holds(sources::unwraps);
}

#[test]
fn no_test_sleeps_or_is_switched_off() {
    holds(sources::sleeping_tests);
}

#[test]
fn nothing_is_left_for_later() {
    holds(sources::leftovers);
}

#[test]
fn files_fit_a_reader() {
    holds(sources::long_files);
}

#[test]
fn each_file_says_first_what_it_does() {
    holds(sources::silent_modules);
}

#[test]
fn nothing_belongs_to_one_machine() {
    holds(sources::machine_places);
}

#[test]
fn every_invariant_has_a_test_of_its_name() {
    holds(sources::untested_invariants);
}

#[test]
fn every_path_that_is_named_exists() {
    holds(documents::paths);
}

#[test]
fn every_link_leads_somewhere() {
    holds(documents::links);
}

#[test]
fn every_page_can_be_found_from_the_readme() {
    holds(documents::unreachable_pages);
}

#[test]
fn every_command_and_option_that_is_named_exists() {
    holds(documents::commands);
}

#[test]
fn the_code_map_is_complete() {
    holds(documents::code_map);
}

#[test]
fn every_test_that_a_page_names_exists() {
    holds(documents::named_tests);
}

#[test]
fn every_alarm_is_explained_to_the_officer() {
    holds(documents::unexplained_alarms);
}

#[test]
fn every_link_error_is_explained_to_the_officer() {
    holds(documents::unexplained_link_errors);
}

#[test]
fn the_page_about_the_journal_is_its_module_s_head() {
    holds(documents::journal_format);
}

#[test]
fn decisions_are_numbered_whole_and_listed() {
    holds(documents::decisions);
}
