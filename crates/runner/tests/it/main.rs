mod changes;
mod damage;
mod fixture;
mod inputs;
mod restoring;
mod support;
