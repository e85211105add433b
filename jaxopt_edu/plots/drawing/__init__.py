"""What the figures are drawn with: colours and marks, scales, labels, limits, panels."""
