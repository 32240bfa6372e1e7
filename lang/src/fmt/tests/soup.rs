//! Scripts made at random, of all that the grammar knows, with white space and comments thrown
//! between the tokens. The same seed gives the same script.

/// A script, of which nearly all parse.
pub(super) fn script(seed: u64) -> String {
    let mut soup = Soup { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, out: String::new() };
    soup.script();
    soup.out
}

/// A script with a few bytes taken out or put in.
pub(super) fn damaged(seed: u64) -> String {
    let mut text: Vec<char> = script(seed).chars().collect();
    let mut soup = Soup { state: !seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1, out: String::new() };
    for _ in 0..=soup.below(2) {
        let at = soup.below(text.len().max(1));
        match soup.below(3) {
            0 if !text.is_empty() => drop(text.remove(at.min(text.len() - 1))),
            1 => {
                text.insert(at.min(text.len()), soup.pick(&['\n', ' ', '"', '/', '#', '\\', '\r', '{', ';']))
            }
            _ => text
                .insert(at.min(text.len()), soup.pick(&['-', '&', ',', '*', '(', '.', '1', 'a', '}', 'é'])),
        }
    }
    text.into_iter().collect()
}

struct Soup {
    state: u64,
    out: String,
}

impl Soup {
    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.state >> 33) as usize % limit
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Text that must stand as it is.
    fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// A token and what may stand behind it.
    fn token(&mut self, text: &str) {
        self.raw(text);
        let gap = self.pick(&[
            " ",
            " ",
            " ",
            " ",
            " ",
            " ",
            " ",
            "  ",
            "\t",
            "\n",
            "\n",
            "\n\n\n",
            " // note\n",
            "\n\n// own\n",
            " /* note */ ",
            "\n/* own */\n",
            "\n  /* two\n     lines */ ",
            " /* a */ /* b */\n",
            "\r\n",
        ]);
        self.raw(gap);
    }

    fn tokens(&mut self, texts: &[&str]) {
        texts.iter().for_each(|it| self.token(it));
    }

    fn script(&mut self) {
        if self.below(4) == 0 {
            self.raw("#!/usr/bin/kscope -q\n");
        }
        for _ in 0..1 + self.below(4) {
            self.item();
        }
    }

    fn item(&mut self) {
        match self.below(12) {
            0 => self.raw("#include <linux/x.h>\n"),
            1 => self.token("struct s { int a;\n\tint b; };"),
            2 => self.tokens(&["let", "@a", "=", "hash", "(", "1", "+", "2", ")", ";"]),
            3 => self.tokens(&["import", "\"a.bt\"", ";", ";"]),
            4 => {
                self.tokens(&["macro", "m", "(", "$a", ",", "b", ","]);
                self.token(")");
                self.block(2);
            }
            5 => {
                self.tokens(&["fn", "f", "(", "$a", ":"]);
                self.type_name();
                self.tokens(&[")", ":"]);
                self.type_name();
                self.block(2);
            }
            _ => self.probe(),
        }
    }

    fn probe(&mut self) {
        for _ in 0..self.below(3) {
            let point = self.pick(&["kprobe:a", "tracepoint:b:c*", "uprobe:/bin/x:\"f g\"+4", "i:s:1"]);
            self.token(&format!("{point} "));
            self.token(",");
        }
        let point = self.pick(&["BEGIN ", "usdt:/bin/x:y:z ", "xdp:eth0 "]);
        self.token(point);
        if self.below(2) == 0 {
            self.token("/ ");
            self.expression(3);
            self.token(" /");
        }
        self.block(3);
    }

    fn block(&mut self, depth: usize) {
        self.token("{");
        for _ in 0..self.below(5) {
            self.statement(depth);
        }
        if self.below(4) == 0 {
            self.expression(depth);
        }
        self.token("}");
    }

    fn statement(&mut self, depth: usize) {
        let compound = if depth == 0 { 0 } else { 7 };
        match self.below(9 + compound) {
            0 => self.expression(depth),
            1 => {
                self.pick_token(&["$x", "@", "@m"]);
                self.pick_token(&["=", "+=", ">>=", "/="]);
                self.expression(depth);
            }
            2 => {
                self.tokens(&["let", "$x", ":"]);
                self.type_name();
                self.token("=");
                self.expression(depth);
            }
            3 => self.tokens(&["@m", "[", "$x", ",", "1", ",", "]", "++"]),
            4 => {
                self.tokens(&["_", "="]);
                self.expression(depth);
            }
            5 => self.token("return"),
            6 => self.token("break"),
            7 => return self.token(";"),
            8 => self.token("let $y"),
            9 | 10 => return self.condition(depth - 1),
            11 => {
                self.token("while");
                self.expression(1);
                return self.block(depth - 1);
            }
            12 => {
                self.tokens(&["for", "(", "$i", ":", "0", "..", "$n", ")"]);
                return self.block(depth - 1);
            }
            13 => {
                self.tokens(&["for", "$kv", ":", "@m"]);
                return self.block(depth - 1);
            }
            14 => {
                self.tokens(&["unroll", "(", "3", ")"]);
                return self.block(depth - 1);
            }
            _ => return self.block(depth - 1),
        }
        self.token(";");
    }

    fn condition(&mut self, depth: usize) {
        self.token("if");
        self.expression(1);
        self.block(depth);
        match self.below(3) {
            0 => {
                self.token("else");
                self.block(depth);
            }
            1 => {
                self.token("else");
                self.condition(depth);
            }
            _ => {}
        }
    }

    fn pick_token(&mut self, choices: &[&str]) {
        let token = self.pick(choices);
        self.token(token);
    }

    fn type_name(&mut self) {
        self.pick_token(&["int64", "string", "struct s", "(int8 , string)", "typeof ( $x )"]);
        match self.below(4) {
            0 => self.tokens(&["*", "*"]),
            1 => self.tokens(&["[", "16", "]"]),
            _ => {}
        }
    }

    fn operator(&mut self) {
        self.pick_token(&["+", "-", "*", "/ ", "%", "<<", "&", "|", "^", "&&", "||", "==", "<", ">=", "in"]);
    }

    fn leaf(&mut self) {
        self.pick_token(&[
            "1",
            "0x2f",
            "5ms",
            "$x",
            "@",
            "@m",
            "pid",
            "\"text \\\" // /*\"",
            "true",
            "10.0.0.1",
            "10.0.0.0/8",
            "02:00:00:00:00:01",
            "$1",
            "$#",
            "a_rather_long_name_to_have_lines_broken",
        ]);
    }

    fn expression(&mut self, depth: usize) {
        if depth == 0 {
            return self.leaf();
        }
        let depth = depth - 1;
        match self.below(18) {
            0..=2 => self.leaf(),
            3..=5 => {
                self.expression(depth);
                self.operator();
                self.expression(depth);
            }
            6 => {
                self.pick_token(&["-", "!", "~", "*", "&", "++", "--", "comptime"]);
                self.expression(depth);
            }
            7 => {
                self.token("(");
                self.expression(depth);
                self.token(")");
            }
            8 => self.list("f", "(", ")", depth),
            9 => self.list("@m", "[", "]", depth),
            10 => self.list("", "(", ")", depth),
            11 => {
                self.tokens(&["(", "a", "=", "1", ",", "b", "="]);
                self.expression(depth);
                self.token(")");
            }
            12 => {
                self.tokens(&["(", "struct s", "*", ")"]);
                self.expression(depth);
            }
            13 => {
                self.token("$p");
                self.pick_token(&[". a", "-> b . 0", "[ 1 ]", "++"]);
            }
            14 => {
                self.expression(depth);
                self.token("?");
                if self.below(2) == 0 {
                    self.expression(depth);
                }
                self.token(":");
                self.expression(depth);
            }
            15 => {
                self.token("{");
                self.statement(depth.min(1));
                self.leaf();
                self.token("}");
            }
            16 => {
                self.token("if");
                self.leaf();
                self.tokens(&["{", "1", "}", "else", "{"]);
                self.expression(depth);
                self.token("}");
            }
            _ => {
                self.tokens(&["sizeof", "("]);
                self.pick_token(&["$x", "int8", "struct s *"]);
                self.token(")");
            }
        }
    }

    fn list(&mut self, before: &str, open: &str, close: &str, depth: usize) {
        if !before.is_empty() {
            self.token(before);
        }
        self.token(open);
        for _ in 0..1 + self.below(4) {
            self.expression(depth);
            self.token(",");
        }
        self.token(close);
    }
}
