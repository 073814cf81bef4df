mod model;
mod survival;
