mod follows;
mod model;
mod survival;
