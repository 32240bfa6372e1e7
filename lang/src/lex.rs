//! Text to tokens. Lossless: the tokens' texts, trivia included, join to the input.
