mod changes;
mod damage;
mod inputs;
mod restoring;
mod support;
