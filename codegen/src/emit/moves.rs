//! Moves that happen at once, put into an order that loses nothing.
//!
//! Comes in: pairs of a place and what it must hold, where places may be both read and written.
//! Goes out: single moves, none from memory to memory.

use super::allocate::Spill;
use super::machine::Remat;
use crate::bpf::Reg;

/// A place that holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A register.
    Reg(Reg),
    /// A spill slot.
    Spill(Spill),
}

/// Where a moved value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A place.
    Place(Place),
    /// It is made.
    Remat(Remat),
}

/// A value goes from here to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// There.
    pub to: Place,
    /// Here.
    pub from: Origin,
}

/// What moves may use besides the places they name.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// A register that holds nothing.
    pub free: Option<Reg>,
    /// A register that holds something, to borrow when none is free. (The verifier refuses to
    /// save one that holds nothing.)
    pub lent: Reg,
    /// Spill slots that hold nothing.
    pub scratch: [Spill; 2],
}

/// Orders the moves.
pub fn sequence(mut pending: Vec<Move>, room: Room) -> Vec<Move> {
    let mut done = Vec::new();
    pending.retain(|it| it.from != Origin::Place(it.to));
    while !pending.is_empty() {
        let is_ready = |it: &Move| !is_read(&pending, it.to);
        let is_spill = |it: &Move| matches!(it.to, Place::Spill(_));
        // Memory first: it may go through a register that is yet to be written.
        let spill = pending.iter().position(|it| is_spill(it) && is_ready(it));
        match spill.or_else(|| pending.iter().position(is_ready)) {
            Some(idx) => {
                let next = pending.remove(idx);
                single(next, Room { free: free(&pending, room), ..room }, &mut done);
            }
            None => break_cycle(&mut pending, room, &mut done),
        }
    }
    done
}

fn is_read(pending: &[Move], place: Place) -> bool {
    pending.iter().any(|it| it.from == Origin::Place(place))
}

/// A register that holds nothing, unless what waits for the end of a cycle, or nothing yet.
fn free(pending: &[Move], room: Room) -> Option<Reg> {
    let unwritten = pending.iter().filter_map(|it| match it.to {
        Place::Reg(reg) => Some(reg),
        Place::Spill(_) => None,
    });
    room.free.into_iter().chain(unwritten).find(|&reg| !is_read(pending, Place::Reg(reg)))
}

/// All that is left are cycles: saves one value, so that its place can be written.
fn break_cycle(pending: &mut [Move], room: Room, done: &mut Vec<Move>) {
    let from = pending[0].from;
    let saved = match free(pending, room) {
        Some(reg) => Place::Reg(reg),
        None => Place::Spill(room.scratch[0]),
    };
    // From memory to memory there is another way only through a register.
    single(Move { to: saved, from }, Room { free: None, ..room }, done);
    for it in pending.iter_mut().filter(|it| it.from == from) {
        it.from = Origin::Place(saved);
    }
}

/// One move; through a register if both ends are in memory.
fn single(it: Move, room: Room, done: &mut Vec<Move>) {
    let direct = match (it.to, it.from) {
        (Place::Reg(_), _) | (_, Origin::Place(Place::Reg(_))) => true,
        (Place::Spill(_), Origin::Remat(Remat::Const(number))) => i32::try_from(number).is_ok(),
        (Place::Spill(_), _) => false,
    };
    if direct {
        return done.push(it);
    }
    let through = |reg: Reg| {
        let place = Place::Reg(reg);
        [Move { to: place, from: it.from }, Move { to: it.to, from: Origin::Place(place) }]
    };
    match room.free {
        Some(reg) => done.extend(through(reg)),
        None => {
            let (lent, saved) = (Place::Reg(room.lent), Place::Spill(room.scratch[1]));
            done.push(Move { to: saved, from: Origin::Place(lent) });
            done.extend(through(room.lent));
            done.push(Move { to: lent, from: Origin::Place(saved) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn place(name: &str) -> Place {
        let number = name[1..].parse().expect("a number");
        match &name[..1] {
            "r" => Place::Reg(Reg(number)),
            _ => Place::Spill(Spill(number.into())),
        }
    }

    /// Runs the moves on places that hold their own names.
    fn check(moves: &[(&str, &str)], free: Option<u8>) {
        let room = Room { free: free.map(Reg), lent: Reg(9), scratch: [Spill(100), Spill(101)] };
        let pending =
            moves.iter().map(|(to, from)| Move { to: place(to), from: Origin::Place(place(from)) }).collect();
        let mut held: HashMap<Place, Place> = HashMap::new();
        for Move { to, from } in sequence(pending, room) {
            let Origin::Place(from) = from else { unreachable!("only places are moved") };
            assert!(matches!((to, from), (Place::Reg(_), _) | (_, Place::Reg(_))), "{to:?} from {from:?}");
            held.insert(to, held.get(&from).copied().unwrap_or(from));
        }
        for (to, from) in moves {
            let to = place(to);
            assert_eq!(held.get(&to).copied().unwrap_or(to), place(from), "{moves:?} {free:?}");
        }
        let lent = Place::Reg(Reg(9));
        if !moves.iter().any(|it| it.0 == "r9") {
            assert_eq!(held.get(&lent).copied().unwrap_or(lent), lent, "{moves:?}");
        }
    }

    #[test]
    fn nothing_is_lost() {
        for moves in [
            &[("r1", "r1")][..],
            &[("r1", "r2"), ("r2", "r3")],
            &[("r1", "r2"), ("r2", "r1")],
            &[("r1", "r2"), ("r2", "r3"), ("r3", "r1"), ("r4", "r1"), ("s0", "r2")],
            &[("s0", "s1"), ("s1", "s0")],
            &[("s0", "s1"), ("s1", "s2"), ("r1", "r2"), ("r2", "r1"), ("s3", "s0")],
            &[("s0", "r9"), ("r9", "s1"), ("s1", "s0")],
            &[("r9", "r1"), ("r1", "s1"), ("s1", "r9"), ("s2", "s1")],
        ] {
            check(moves, None);
            check(moves, Some(0));
        }
    }
}
