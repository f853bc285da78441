//! charlstm
fn main(){}
