// MartletSQL
