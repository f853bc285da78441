//! The architecture: the allowed module dependencies, no cyclic imports between files, and names that the library must not use.
//!
//! Parses every file of src/. Imports in items under `#[cfg(test)]` do not count.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// The modules of the library in order, each with the modules that it may use. `..model` means every module above `model` in the
/// table. `export` and `serve` are planned and do not exist yet.
const RULES: [(&str, &str); 18] = [
    ("error", ""),
    ("simd", "error"),
    ("kernels", "error simd"),
    ("params", "error simd kernels"),
    ("cells", "error simd kernels params"),
    ("layers", "error simd kernels params cells"),
    ("model", "error simd kernels params cells layers"),
    ("data", "error"),
    ("optim", "error simd kernels"),
    ("checkpoint", "..model model data"),
    ("run", "..model model data optim checkpoint"),
    ("sample", "..model model data"),
    ("score", "..model model data"),
    ("analysis", "..model model data"),
    ("export", "..model model data"),
    ("train", "..model model data optim checkpoint run sample score"),
    ("serve", "..model model data checkpoint run sample score"),
    ("experiments", "..model model data optim checkpoint run sample score analysis train"),
];

/// Whether the rules let a module use another; `None` for a module without a rule.
fn may_use(module: &str, target: &str) -> Option<bool> {
    let position = |name: &str| RULES.iter().position(|(module, _)| *module == name);
    let (_, allowed) = RULES[position(module)?];
    let is_below_model = position(target) < position("model");
    Some(allowed.split(' ').any(|name| name == target || (name == "..model" && is_below_model)))
}

/// Names that belong to the binary crate only.
const BINARY_ONLY: [&str; 5] = ["clap", "owo_colors", "anstream", "indicatif", "ExitCode"];

type ModulePath = Vec<String>;

#[derive(Clone)]
enum Name {
    /// An item that this file defines.
    Item(String),
    Module(ModulePath),
    /// `use PATH as NAME`.
    Import(Vec<String>),
}

#[derive(Default)]
struct Module {
    file: String,
    names: BTreeMap<String, Name>,
    globs: Vec<Vec<String>>,
}

/// A path and the module that uses it.
struct Use {
    module: ModulePath,
    path: Vec<String>,
    file: String,
    line: usize,
    /// Whether it is a `pub use`. A file that only re-exports a name does not use it.
    re_exports: bool,
}

/// The modules of one crate.
#[derive(Default)]
struct Crate {
    modules: BTreeMap<ModulePath, Module>,
    uses: Vec<Use>,
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return attribute.path().is_ident("test") };
        let condition = list.tokens.to_string();
        let words: Vec<&str> = condition.split(|c: char| !c.is_alphanumeric()).collect();
        list.path.is_ident("cfg") && words.contains(&"test") && !words.contains(&"not") && !words.contains(&"any")
    })
}

/// Reads the modules of a crate, file by file.
struct Reader<'a> {
    tree: &'a mut Crate,
    root: &'a Path,
    file: String,
    module: ModulePath,
}

impl Reader<'_> {
    fn read_file(&mut self, file: &str) {
        let text = std::fs::read_to_string(self.root.join(file)).unwrap();
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
        let outer = std::mem::replace(&mut self.file, file.into());
        self.read_items(&parsed.items);
        self.file = outer;
    }

    fn read_items(&mut self, items: &[Item]) {
        let file = self.file.clone();
        self.tree.modules.insert(self.module.clone(), Module { file, ..Module::default() });
        items.iter().for_each(|item| self.visit_item(item));
    }

    /// Reads the file of `mod NAME;`, which is next to the file that declares it.
    fn read_child(&mut self) {
        let path = self.module.join("/");
        let [leaf, folder] = [format!("{path}.rs"), format!("{path}/mod.rs")];
        let file = if self.root.join(&leaf).exists() { leaf } else { folder };
        self.read_file(&file);
    }

    fn here(&mut self) -> &mut Module {
        self.tree.modules.get_mut(&self.module).unwrap()
    }

    fn define(&mut self, name: String) {
        let item = Name::Item(self.file.clone());
        self.here().names.insert(name, item);
    }

    fn record(&mut self, path: Vec<String>, at: Span) {
        self.record_import(path, false, at);
    }

    fn record_import(&mut self, path: Vec<String>, re_exports: bool, at: Span) {
        let (module, file) = (self.module.clone(), self.file.clone());
        self.tree.uses.push(Use { module, path, file, line: at.start().line, re_exports });
    }

    fn import(&mut self, tree: &UseTree, mut path: Vec<String>, re_exports: bool) {
        match tree {
            UseTree::Path(node) => {
                path.push(node.ident.to_string());
                self.import(&node.tree, path, re_exports);
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, path.clone(), re_exports));
            }
            UseTree::Glob(_) => {
                self.here().globs.push(path.clone());
                path.push("*".into());
                self.record_import(path, re_exports, tree.span());
            }
            UseTree::Name(node) => self.import_name(path, &node.ident, &node.ident, re_exports),
            UseTree::Rename(node) => self.import_name(path, &node.ident, &node.rename, re_exports),
        }
    }

    fn import_name(&mut self, mut path: Vec<String>, name: &syn::Ident, as_name: &syn::Ident, re_exports: bool) {
        if name != "self" {
            path.push(name.to_string());
        }
        let known = if as_name == "self" { path.last().unwrap().clone() } else { as_name.to_string() };
        self.here().names.insert(known, Name::Import(path.clone()));
        self.record_import(path, re_exports, name.span());
    }

    /// Records every path in unparsed tokens, such as the arguments of a macro.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is_colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(c)) if c.as_char() == ':');
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.read_tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let mut path = vec![first.to_string()];
                    while is_colon(at + 1) && is_colon(at + 2) {
                        let Some(TokenTree::Ident(next)) = tokens.get(at + 3) else { break };
                        path.push(next.to_string());
                        at += 3;
                    }
                    // An item that a macro call defines belongs to this file.
                    if ["fn", "struct", "enum", "trait", "const", "static", "type"].contains(&path[0].as_str())
                        && let Some(TokenTree::Ident(name)) = tokens.get(at + 1)
                    {
                        self.define(name.to_string());
                    }
                    self.record(path, first.span());
                }
                _ => {}
            }
            at += 1;
        }
    }
}

/// The attributes of an item, and the name that it defines.
fn parts(item: &Item) -> (&[Attribute], Option<&syn::Ident>) {
    match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::Impl(item) => (&item.attrs, None),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::Mod(item) => (&item.attrs, None),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = parts(item);
        if is_test(attributes) {
            return;
        }
        if let Some(name) = name {
            self.define(name.to_string());
        }
        match item {
            Item::Use(item) => {
                self.import(&item.tree, Vec::new(), !matches!(item.vis, Visibility::Inherited));
            }
            Item::Mod(item) => {
                let name = item.ident.to_string();
                let child = [&self.module[..], std::slice::from_ref(&name)].concat();
                self.here().names.insert(name, Name::Module(child.clone()));
                let outer = std::mem::replace(&mut self.module, child);
                match &item.content {
                    Some((_, items)) => self.read_items(items),
                    None => self.read_child(),
                }
                self.module = outer;
            }
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.record(path.segments.iter().map(|segment| segment.ident.to_string()).collect(), path.span());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.read_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

impl Crate {
    fn read(root: &Path, file: &str) -> Crate {
        let mut tree = Crate::default();
        let mut reader = Reader { tree: &mut tree, root, file: String::new(), module: Vec::new() };
        reader.read_file(file);
        tree
    }

    /// The module that a path names, or the file that defines what it names; `None` for names of other crates and of local variables.
    fn resolve(&self, module: &[String], path: &[String], depth: usize) -> Option<Name> {
        if depth > 20 {
            return None;
        }
        let mut at = match path[0].as_str() {
            "crate" => Vec::new(),
            "self" => module.to_vec(),
            "super" => module[..module.len().checked_sub(1)?].to_vec(),
            name => match self.lookup(module, name, depth)? {
                Name::Module(child) => child,
                item => return Some(item),
            },
        };
        for name in &path[1..] {
            at = match name.as_str() {
                "super" => at[..at.len().checked_sub(1)?].to_vec(),
                "*" => at,
                name => match self.lookup(&at, name, depth) {
                    Some(Name::Module(child)) => child,
                    Some(item) => return Some(item),
                    // A macro in that module defines the name.
                    None => return Some(Name::Item(self.modules[&at].file.clone())),
                },
            };
        }
        Some(Name::Module(at))
    }

    fn lookup(&self, module: &[String], name: &str, depth: usize) -> Option<Name> {
        let scope = &self.modules[module];
        if let Some(known) = scope.names.get(name) {
            return match known {
                // `use anyhow::Result` in a module with a child of that name would refer to itself.
                Name::Import(path) if path[0] == name && !self.modules.contains_key(&path[..1]) => None,
                Name::Import(path) => self.resolve(module, path, depth + 1),
                known => Some(known.clone()),
            };
        }
        scope.globs.iter().filter(|glob| glob.first().is_some_and(|first| first != name)).find_map(|glob| {
            match self.resolve(module, glob, depth + 1)? {
                Name::Module(from) if from != module => self.lookup(&from, name, depth + 1),
                _ => None,
            }
        })
    }

    /// The file that a path refers to; `None` for a module that is only named, as in `use crate::data`.
    fn file_of(&self, used: &Use) -> Option<String> {
        match self.resolve(&used.module, &used.path, 0)? {
            Name::Item(file) => Some(file),
            Name::Module(module) if used.path.last().is_some_and(|last| last == "*") => {
                Some(self.modules[&module].file.clone())
            }
            _ => None,
        }
    }

    /// The top-level module that a path leads into.
    fn top_module(&self, used: &Use) -> Option<String> {
        let is_keyword = |name: &String| ["crate", "self", "super"].contains(&name.as_str());
        let named = used.path.iter().position(|name| !is_keyword(name))?;
        match self.resolve(&used.module, &used.path[..=named], 0)? {
            Name::Module(module) => module.first().cloned(),
            Name::Item(file) => Some(top_of(&file)),
            Name::Import(_) => None,
        }
    }

    /// Every import that is part of a cycle of files that import each other.
    fn circles(&self) -> BTreeSet<String> {
        let mut imports: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
        for used in self.uses.iter().filter(|used| !used.re_exports) {
            if let Some(target) = self.file_of(used).filter(|target| *target != used.file) {
                imports.entry(&used.file).or_default().entry(target).or_insert(used.line);
            }
        }
        let reachable = |from: &str| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
            while let Some(file) = next.pop() {
                for target in imports.get(&*file).into_iter().flat_map(BTreeMap::keys) {
                    if seen.insert(target.clone()) {
                        next.push(target.clone());
                    }
                }
            }
            seen
        };
        let reach: BTreeMap<&str, BTreeSet<String>> = imports.keys().map(|file| (*file, reachable(file))).collect();
        let edges = imports.iter().flat_map(|(file, targets)| targets.iter().map(move |edge| (*file, edge)));
        edges
            .filter(|(file, (target, _))| reach.get(target.as_str()).is_some_and(|files| files.contains(*file)))
            .map(|(file, (target, line))| {
                format!("src/{file}:{line}: imports {target}, which imports it directly or indirectly")
            })
            .collect()
    }
}

fn top_of(file: &str) -> String {
    file.split('/').next().unwrap().trim_end_matches(".rs").into()
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn expect_none(violations: BTreeSet<String>) {
    let lines: Vec<String> = violations.into_iter().collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}

/// Every token of every source file, tests included, with the file and the line; attributes, which include documentation, on
/// request.
fn tokens(attributes: bool) -> Vec<(String, usize, TokenTree)> {
    fn collect(file: &str, tokens: TokenStream, attributes: bool, found: &mut Vec<(String, usize, TokenTree)>) {
        let mut after_hash = false;
        for token in tokens {
            let is_attribute = after_hash && matches!(token, TokenTree::Group(_));
            after_hash =
                matches!(&token, TokenTree::Punct(c) if c.as_char() == '#' || (after_hash && c.as_char() == '!'));
            match token {
                TokenTree::Group(_) if is_attribute && !attributes => {}
                TokenTree::Group(group) => collect(file, group.stream(), attributes, found),
                token => found.push((file.into(), token.span().start().line, token)),
            }
        }
    }
    let (mut files, mut found) = (Vec::new(), Vec::new());
    list(&root(), &mut files);
    for path in files {
        let file = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        let tokens = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        collect(&file, tokens, attributes, &mut found);
    }
    assert!(found.len() > 50_000, "only {} tokens were found", found.len());
    found
}

fn list(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn is_library(file: &str) -> bool {
    file != "main.rs" && !file.starts_with("cli/")
}

#[test]
fn modules_use_only_what_the_rules_allow() {
    let library = Crate::read(&root(), "lib.rs");
    let (mut violations, mut checked) = (BTreeSet::new(), 0);
    for used in &library.uses {
        let Some(own) = used.module.first() else { continue };
        let Some(target) = library.top_module(used).filter(|target| target != own) else { continue };
        checked += 1;
        match may_use(own, &target) {
            None => violations.insert(format!("src/{}: the module {own} has no rule", used.file)),
            Some(true) => false,
            Some(false) => violations.insert(format!("src/{}:{}: {own} uses {target}", used.file, used.line)),
        };
    }
    assert!(checked > 500, "only {checked} uses were found");
    expect_none(violations);
}

#[test]
fn no_two_files_of_the_library_import_each_other() {
    expect_none(Crate::read(&root(), "lib.rs").circles());
}

#[test]
fn no_two_files_of_the_binary_import_each_other() {
    let binary = Crate::read(&root(), "main.rs");
    assert!(binary.modules.len() > 20, "only {} modules were found", binary.modules.len());
    expect_none(binary.circles());
}

#[test]
fn the_library_does_not_name_terminals_or_exit_codes() {
    let named = tokens(true).into_iter().filter(|(file, ..)| is_library(file)).filter_map(|(file, line, token)| {
        let TokenTree::Ident(ident) = token else { return None };
        BINARY_ONLY.iter().find(|name| ident == **name).map(|name| format!("src/{file}:{line}: names {name}"))
    });
    expect_none(named.collect());
}

#[test]
fn unsafe_code_is_in_simd_kernels_and_the_memory_map() {
    let may = |file: &str| file.starts_with("simd/") || file.starts_with("kernels/") || file == "data/map.rs";
    let found = tokens(true)
        .into_iter()
        .filter(|(file, _, token)| !may(file) && matches!(token, TokenTree::Ident(ident) if ident == "unsafe"));
    expect_none(found.map(|(file, line, _)| format!("src/{file}:{line}: unsafe code")).collect());
}

/// Whether a text contains `--` followed by a letter and not preceded by a letter, digit or hyphen.
fn names_a_flag(text: &str) -> bool {
    text.match_indices("--").any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + 2..].chars().next();
        after.is_some_and(|c| c.is_ascii_lowercase()) && before.is_none_or(|c| !c.is_alphanumeric() && c != '-')
    })
}

#[test]
fn the_library_does_not_name_flags() {
    let named = tokens(false).into_iter().filter(|(file, ..)| is_library(file)).filter_map(|(file, line, token)| {
        let TokenTree::Literal(literal) = token else { return None };
        let text = literal.to_string();
        (text.contains('"') && names_a_flag(&text)).then(|| format!("src/{file}:{line}: {text}"))
    });
    expect_none(named.collect());
}
