//! Executes plans: the only place where engine and source meet.
