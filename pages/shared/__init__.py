"""What the screens share: state, layout, number formats, progress and downloads."""
