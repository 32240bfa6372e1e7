//! Reading, sorting and printing the script's maps.
